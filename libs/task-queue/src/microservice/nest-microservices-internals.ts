/*
 * What the transport takes from @nestjs/microservices and @nestjs/core beyond their public entries: the pipeline that
 * Nest builds around the pattern handlers of every transport. Values only here, so that a new major of Nest has one
 * place to look at.
 */
export {
  GuardsConsumer,
  GuardsContextCreator,
  InterceptorsConsumer,
  InterceptorsContextCreator,
  PipesConsumer,
  PipesContextCreator,
} from '@nestjs/core/internal';
export { ExceptionFiltersContext } from '@nestjs/microservices/context/exception-filters-context.js';
export { RequestContextHost } from '@nestjs/microservices/context/request-context-host.js';
export { RpcContextCreator } from '@nestjs/microservices/context/rpc-context-creator.js';
export { RpcProxy } from '@nestjs/microservices/context/rpc-proxy.js';
export { ListenerMetadataExplorer } from '@nestjs/microservices/listener-metadata-explorer.js';
export { transformPatternToRoute } from '@nestjs/microservices/utils/transform-pattern.utils.js';
