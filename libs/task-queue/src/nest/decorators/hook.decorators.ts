import { InvalidTaskError } from '../../errors/configuration.errors.js';
import type { ErrorDecision } from '../../retry/error-decision.js';
import type { AttemptError, HookKind } from '../../task/task-definition.js';
import { declareHook, declareLetterHandler } from './metadata.js';
import { sourceOf } from './source-name.js';

/**
 * The method is called in the worker after the final failure of a task, with a `TaskFailure`. What it throws
 * is logged and changes nothing.
 *
 * @param tasks names of methods of the class, or full task names; none means every task of the class, and `'*'` every
 * task of the application. A name that no task has ends the start of the application with an InvalidTaskError.
 */
export function OnFailure(...tasks: string[]): MethodDecorator {
  return hook('failure', 'OnFailure', tasks);
}

/** As `@OnFailure`, after a task has returned; the method gets a `TaskSuccess`. */
export function OnSuccess(...tasks: string[]): MethodDecorator {
  return hook('success', 'OnSuccess', tasks);
}

/** As `@OnFailure`, after an attempt that is followed by another one; the method gets a `TaskRetry`. */
export function OnRetry(...tasks: string[]): MethodDecorator {
  return hook('retry', 'OnRetry', tasks);
}

/** As `@OnFailure`, after a task was revoked; the method gets a `TaskFailure`. */
export function OnRevoked(...tasks: string[]): MethodDecorator {
  return hook('revoked', 'OnRevoked', tasks);
}

/**
 * Makes a task the handler of dead letters: it is published once for each final failure that was not expected, with the
 * `DeadLetter` as its argument. It is a task as any other, with `@Task` and, where it should be, `@Retry`; its own failure
 * makes a letter, and calls no handler.
 *
 * @param tasks names of methods of the class, or full task names; none means every task of the application, those that
 *   nobody knows included
 */
export function OnDeadLetter(...tasks: string[]): MethodDecorator {
  return (target: object, method: string | symbol): void => {
    checkPlace(target, method, 'OnDeadLetter', tasks);
    declareLetterHandler(target, method as string, tasks);
  };
}

/**
 * As `@OnFailure`, when a handler of the worker's own process was told to end (its hard time limit has passed, it was
 * revoked with `terminate`, its task belongs to another worker) and still runs `worker.stuckAfter` later; the method gets
 * a `TaskStuck`. Called once for each, in the process in which it is stuck.
 */
export function OnStuck(...tasks: string[]): MethodDecorator {
  return hook('stuck', 'OnStuck', tasks);
}

/** Decorates a method that takes an error, or nothing, and answers what is to be done, or nothing. */
export type ErrorMethodDecorator = <
  Method extends (attempt: AttemptError) => ErrorDecision | void | Promise<ErrorDecision | void>,
>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<Method>,
) => void;

/**
 * The method decides what becomes of a task whose attempt threw: it is asked in the worker, after the policies and before
 * anything is stored, and answers another decision, or nothing. Where there are several, each gets what the one before
 * has decided. It is not asked about what a task asks for itself (`task.retry()`, `RejectTask`), nor about revocations.
 *
 * It has 5 s. What it throws, and what cannot be read, is logged; the decision stays as it was.
 *
 * ```ts
 * @OnError('charge')
 * atNight({ error, decision }: AttemptError): ErrorDecision | void {
 *   if (error instanceof MaintenanceError) return { do: 'retry', after: '1h' };
 * }
 * ```
 *
 * @param tasks as of `@OnFailure`
 */
export function OnError(...tasks: string[]): ErrorMethodDecorator {
  return hook('error', 'OnError', tasks) as ErrorMethodDecorator;
}

function hook(kind: HookKind, decorator: string, tasks: readonly string[]): MethodDecorator {
  return (target: object, method: string | symbol): void => {
    checkPlace(target, method, decorator, tasks);
    declareHook(target, method as string, { kind, tasks });
  };
}

function checkPlace(
  target: object,
  method: string | symbol,
  decorator: string,
  tasks: readonly string[],
): void {
  if (typeof target === 'function' || typeof method === 'symbol') {
    throw new InvalidTaskError(
      `${sourceOf(target, method)}: @${decorator} stands on a method of an instance whose name is a string.`,
    );
  }
  const wrong = tasks.findIndex((task) => typeof task !== 'string' || task === '');
  if (wrong < 0) return;
  throw new InvalidTaskError(
    `${sourceOf(target, method)}: @${decorator} takes names of tasks, got ${JSON.stringify(tasks[wrong])}.`,
  );
}
