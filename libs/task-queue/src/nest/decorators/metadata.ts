import { MetadataScanner } from '@nestjs/core';
import type { Breaker } from '../../breaker/breaker-options.js';
import { InvalidTaskError } from '../../errors/configuration.errors.js';
import { didYouMean } from '../../options/did-you-mean.js';
import { DEFAULT_QUEUE } from '../../options/resolve-options.js';
import type { RetryOptions } from '../../retry/retry-policy.js';
import type { TaskKey } from '../../task/idempotency.js';
import type { HookKind } from '../../task/task-definition.js';
import type { TaskEventType } from '../../task/task-event.js';
import type { ResolvedTaskOptions } from '../../task/task-options.js';
import type { ParameterPlan } from './parameter-plan.js';

/*
 * What the decorators say is stored per prototype and method name, not on the method function: another
 * decorator may replace the function with a wrapper, and a subclass that overrides a task method still has
 * a task. Keys are strings, so that two copies of the package read each other's.
 */
const TASK = 'nestjs-task-queue:task';
const RETRY = 'nestjs-task-queue:retry';
const BREAKER = 'nestjs-task-queue:breaker';
const IDEMPOTENT = 'nestjs-task-queue:idempotent';
const HOOKS = 'nestjs-task-queue:hooks';
const LETTERS = 'nestjs-task-queue:dead-letters';
const EVENTS = 'nestjs-task-queue:events';
/** On the class: what its tasks have in common. */
const COMMON = 'nestjs-task-queue:common';
/** On the class: whether there is anything to find, so that the scan can pass over all other providers. */
const MARKER = 'nestjs-task-queue:declares';

/** A class whose providers may hold task methods. */
export type TaskClass<T extends object = object> = abstract new (...args: never[]) => T;

/** Where tasks go: the queue, and the registration whose queue it is. */
export interface TaskPlace {
  readonly queue: string | undefined;
  readonly connection: string | undefined;
}

/** What `@Task` says about a method, before the concrete class is known. */
export interface TaskDeclaration extends TaskPlace {
  /** A name of the task's own; otherwise it follows from the concrete class. */
  readonly name: string | undefined;
  readonly options: ResolvedTaskOptions;
  readonly parameters: ParameterPlan;
}

/** What one hook decorator says. No names means every task of the class. */
export interface HookDeclaration {
  readonly kind: HookKind;
  readonly tasks: readonly string[];
}

/** A task of a class, as callers need it. */
export interface TaskMetadata {
  readonly name: string;
  readonly queue: string;
  /** The registration that it says it belongs to. */
  readonly connection: string | undefined;
  readonly options: ResolvedTaskOptions;
  /** What makes two calls of it the same. */
  readonly idempotent?: TaskKey;
}

export function declareTask(prototype: object, method: string, declaration: TaskDeclaration): void {
  Reflect.defineMetadata(TASK, declaration, prototype, method);
  Reflect.defineMetadata(MARKER, true, prototype.constructor);
}

/** Decorators run from the bottom up, so each one goes in front of those below it. */
export function declareRetry(prototype: object, method: string, options: RetryOptions): void {
  const below = (Reflect.getOwnMetadata(RETRY, prototype, method) ?? []) as RetryOptions[];
  Reflect.defineMetadata(RETRY, [options, ...below], prototype, method);
  Reflect.defineMetadata(MARKER, true, prototype.constructor);
}

export function declareBreaker(prototype: object, method: string, breaker: Breaker): void {
  Reflect.defineMetadata(BREAKER, breaker, prototype, method);
  Reflect.defineMetadata(MARKER, true, prototype.constructor);
}

export function declareIdempotent(prototype: object, method: string, key: TaskKey): void {
  Reflect.defineMetadata(IDEMPOTENT, key, prototype, method);
  Reflect.defineMetadata(MARKER, true, prototype.constructor);
}

export function declareHook(prototype: object, method: string, hook: HookDeclaration): void {
  const below = (Reflect.getOwnMetadata(HOOKS, prototype, method) ?? []) as HookDeclaration[];
  Reflect.defineMetadata(HOOKS, [hook, ...below], prototype, method);
  Reflect.defineMetadata(MARKER, true, prototype.constructor);
}

/** The method is a task that handles dead letters. No names means those of every task. */
export function declareLetterHandler(prototype: object, method: string, tasks: readonly string[]): void {
  Reflect.defineMetadata(LETTERS, tasks, prototype, method);
  Reflect.defineMetadata(MARKER, true, prototype.constructor);
}

/** Of which tasks a method handles the dead letters, if it does. */
export function letterHandlerOf(type: TaskClass, method: string): readonly string[] | undefined {
  return Reflect.getMetadata(LETTERS, type.prototype as object, method) as readonly string[] | undefined;
}

/** A method that hears of events. */
export function declareEventHandler(
  prototype: object,
  method: string,
  types: readonly TaskEventType[],
): void {
  const below = (Reflect.getOwnMetadata(EVENTS, prototype, method) ?? []) as TaskEventType[];
  Reflect.defineMetadata(EVENTS, [...new Set([...types, ...below])], prototype, method);
  Reflect.defineMetadata(MARKER, true, prototype.constructor);
}

/** What the tasks of a class, and of those that extend it, have in common. */
export function declareCommon(type: object, common: TaskPlace): void {
  const inherited = commonOf(type);
  Reflect.defineMetadata(
    COMMON,
    { queue: common.queue ?? inherited.queue, connection: common.connection ?? inherited.connection },
    type,
  );
}

/** What `@Tasks` says about a class, or about one that it extends. */
export function commonOf(type: object): Partial<TaskPlace> {
  return (Reflect.getMetadata(COMMON, type) ?? {}) as Partial<TaskPlace>;
}

/** Whether a class, or one that it extends, has a decorator of ours on one of its methods. */
export function hasDeclarations(type: TaskClass): boolean {
  return Reflect.hasMetadata(MARKER, type);
}

/** What the nearest `@Task` on a method says, here or in a class that this one extends. */
export function taskDeclarationOf(type: TaskClass, method: string): TaskDeclaration | undefined {
  return Reflect.getMetadata(TASK, type.prototype as object, method) as TaskDeclaration | undefined;
}

/** The `@Retry` options of a method, top to bottom. */
export function retryOptionsOf(type: TaskClass, method: string): readonly RetryOptions[] {
  return nearest<readonly RetryOptions[]>(RETRY, type, method) ?? [];
}

/** What `@Breaker` says of a method. */
export function breakerOf(type: TaskClass, method: string): Breaker | undefined {
  return nearest<Breaker>(BREAKER, type, method);
}

/** What `@Idempotent` says of a method. */
export function taskKeyOf(type: TaskClass, method: string): TaskKey | undefined {
  return nearest<TaskKey>(IDEMPOTENT, type, method);
}

/**
 * What is said beside the nearest `@Task` of a method. One that is overridden with a `@Task` of its own starts afresh:
 * nothing is inherited from the one it replaces.
 */
function nearest<T>(what: string, type: TaskClass, method: string): T | undefined {
  for (
    let prototype = type.prototype as object | null;
    prototype !== null;
    prototype = Object.getPrototypeOf(prototype) as object | null
  ) {
    const own = Reflect.getOwnMetadata(what, prototype, method) as T | undefined;
    if (own) return own;
    if (Reflect.hasOwnMetadata(TASK, prototype, method)) break;
  }
  return undefined;
}

/** What the hook decorators on a method say, top to bottom. */
export function hookDeclarationsOf(type: TaskClass, method: string): readonly HookDeclaration[] {
  return (Reflect.getMetadata(HOOKS, type.prototype as object, method) ?? []) as HookDeclaration[];
}

/** The types of events that a method hears of; none for every other method. */
export function eventTypesOf(type: TaskClass, method: string): readonly TaskEventType[] {
  return (Reflect.getMetadata(EVENTS, type.prototype as object, method) ?? []) as TaskEventType[];
}

/** What a class's task is called, and where it goes, after its declaration is put together with the class. */
export function toTaskMetadata(type: TaskClass, method: string, declaration: TaskDeclaration): TaskMetadata {
  const common = commonOf(type);
  const idempotent = taskKeyOf(type, method);
  return {
    name: declaration.name ?? `${type.name}.${method}`,
    queue: declaration.queue ?? common.queue ?? DEFAULT_QUEUE,
    connection: declaration.connection ?? common.connection,
    options: declaration.options,
    ...(idempotent === undefined ? {} : { idempotent }),
  };
}

/**
 * The tasks of a class by method name, inherited ones included. Needs no injector, so that a producer which
 * only imports the class can call its tasks.
 */
export function taskMetadataOf(type: TaskClass): ReadonlyMap<string, TaskMetadata> {
  const tasks = new Map<string, TaskMetadata>();
  if (!hasDeclarations(type)) return tasks;
  for (const method of new MetadataScanner().getAllMethodNames(type.prototype as object)) {
    const declaration = taskDeclarationOf(type, method);
    if (declaration) tasks.set(method, toTaskMetadata(type, method, declaration));
  }
  return tasks;
}

/**
 * The name of one task of a class.
 *
 * @throws InvalidTaskError when the method has no `@Task`
 */
export function taskNameOf(type: TaskClass, method: string): string {
  const declaration = taskDeclarationOf(type, method);
  if (declaration) return toTaskMetadata(type, method, declaration).name;
  const hint = didYouMean(method, taskMetadataOf(type).keys());
  throw new InvalidTaskError(`${type.name}.${method} is no task: it has no @Task${hint}.`);
}
