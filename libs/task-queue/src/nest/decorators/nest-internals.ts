/*
 * What this library takes from Nest beyond its public entries: the names under which Nest's own decorators
 * store metadata, and the host of an execution context. Values only here, so that a new major of Nest has one
 * place to look at. reflect-metadata comes first, because these entries of Nest expect it and an application
 * may import this library before Nest.
 */
import 'reflect-metadata';

export {
  assignMetadata,
  CUSTOM_ROUTE_ARGS_METADATA,
  ENTRY_PROVIDER_WATERMARK,
  EXCEPTION_FILTERS_METADATA,
  getParamArgsMetadata,
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
  isParameterDecoratorOptions,
  PARAMTYPES_METADATA,
  PIPES_METADATA,
  ROUTE_ARGS_METADATA,
  RouteParamtypes,
} from '@nestjs/common/internal';
export { ExecutionContextHost, REQUEST_CONTEXT_ID } from '@nestjs/core/internal';
