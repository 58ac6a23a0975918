import type { ApplicationConfig } from '@nestjs/core';
import type { TaskClass } from '../decorators/metadata.js';
import {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
  PIPES_METADATA,
  ROUTE_ARGS_METADATA,
} from '../decorators/nest-internals.js';

const KEYS = [GUARDS_METADATA, INTERCEPTORS_METADATA, PIPES_METADATA, EXCEPTION_FILTERS_METADATA];

/** Guards, interceptors, pipes and filters on a class, on one of its methods and on the method's parameters. */
export function localEnhancers(type: TaskClass, method: string): unknown[] {
  const handler = (type.prototype as Record<string, object>)[method] as object;
  const parameters = (Reflect.getMetadata(ROUTE_ARGS_METADATA, type, method) ?? {}) as Record<
    string,
    { pipes?: unknown[] }
  >;
  return [
    ...KEYS.flatMap((key) => [...enhancersAt(key, type), ...enhancersAt(key, handler)]),
    ...Object.values(parameters).flatMap((parameter) => parameter.pipes ?? []),
  ];
}

/** Whether anything global runs around every handler of the application. */
export function hasGlobalEnhancers(config: ApplicationConfig): boolean {
  return (
    [
      config.getGlobalGuards(),
      config.getGlobalInterceptors(),
      config.getGlobalPipes(),
      config.getGlobalFilters(),
    ].some((enhancers) => enhancers.length > 0) || hasScopedGlobalEnhancers(config)
  );
}

/** Whether a global enhancer (APP_GUARD and its kind) is made anew for each request. */
export function hasScopedGlobalEnhancers(config: ApplicationConfig): boolean {
  return [
    config.getGlobalRequestGuards(),
    config.getGlobalRequestInterceptors(),
    config.getGlobalRequestPipes(),
    config.getGlobalRequestFilters(),
  ].some((enhancers) => enhancers.length > 0);
}

function enhancersAt(key: string, target: object): unknown[] {
  return (Reflect.getMetadata(key, target) ?? []) as unknown[];
}
