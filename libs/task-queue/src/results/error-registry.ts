import * as idempotencyErrors from '../errors/idempotency.errors.js';
import * as lockErrors from '../errors/lock.errors.js';
import * as publishErrors from '../errors/publish.errors.js';
import * as resultErrors from '../errors/result.errors.js';
import * as taskErrors from '../errors/task.errors.js';
import { RemoteTaskError } from '../errors/task.errors.js';
import type { SerializedError, TaskFailure } from '../failure/task-failure.js';

type ErrorClass = abstract new (...args: never[]) => Error;

/** Classes that need the members of their canvas to be made again; handles make them. */
const COMPOSITE = new Set(['GroupError', 'ChordError', 'RemoteTaskError']);

/**
 * Error classes by name, so that `catch (error) { if (error instanceof PaymentDeclined) … }` works on a failure
 * that happened in another process. Known are the library's own, the built-in ones and those that were
 * registered. No constructor is called: stored data never decides which code runs.
 */
export class ErrorRegistry {
  readonly #classes = new Map<string, ErrorClass>();

  constructor(classes: Iterable<ErrorClass> = []) {
    for (const type of [TypeError, RangeError, SyntaxError, URIError, EvalError, ReferenceError])
      this.add(type);
    for (const [name, type] of Object.entries({
      ...taskErrors,
      ...resultErrors,
      ...publishErrors,
      ...lockErrors,
      ...idempotencyErrors,
    })) {
      if (name.endsWith('Error') && typeof type === 'function' && !COMPOSITE.has(name))
        this.add(type as ErrorClass);
    }
    for (const type of classes) this.add(type);
  }

  add(type: ErrorClass): void {
    this.#classes.set(type.name, type);
  }

  /** The class of this name, where it is known. */
  classOf(name: string): ErrorClass | undefined {
    return this.#classes.get(name);
  }

  /** An error of the original class where it is known, else a RemoteTaskError; cause chain included. */
  revive(error: SerializedError, failure?: TaskFailure): Error {
    const type = this.#classes.get(error.name);
    if (type === undefined) return new RemoteTaskError(error, failure);
    const revived = Object.create(type.prototype as object) as Error;
    const set = (key: string, value: unknown, enumerable = false): void => {
      Object.defineProperty(revived, key, { value, enumerable, writable: true, configurable: true });
    };
    for (const [key, value] of Object.entries(error.data ?? {})) set(key, value, true);
    set('name', error.name);
    set('message', error.message);
    set('stack', error.stack ?? `${error.name}: ${error.message}`);
    if (error.code !== undefined) set('code', error.code, true);
    if (error.cause !== undefined) set('cause', this.revive(error.cause));
    return revived;
  }
}
