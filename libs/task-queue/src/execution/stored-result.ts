import type { StoredValues } from '../codec/stored-values.js';
import { UnserializableResultError } from '../errors/task.errors.js';

/**
 * What a handler returns, as it is stored. Without a codec it is what it is, also where that is a promise.
 *
 * @throws UnserializableResultError when the codec refuses it
 */
export function storedResult(task: string, returned: unknown, values: StoredValues): unknown {
  if (!values.areWritten) return returned;
  return isPromise(returned)
    ? returned.then((value: unknown) => write(task, value, values))
    : write(task, returned, values);
}

/** A task that returns nothing comes to null, with a codec or without. */
function write(task: string, value: unknown, values: StoredValues): unknown {
  if (value === undefined || value === null) return null;
  const written = values.write(value);
  if ('stored' in written) return written.stored;
  throw new UnserializableResultError(
    `Task "${task}" returned what cannot be stored: it is ${written.found}.`,
  );
}

/** A proxy of the handler's may throw at being asked what it is; the codec says then that it cannot write it. */
function isPromise(returned: unknown): returned is Promise<unknown> {
  try {
    return returned instanceof Promise;
  } catch {
    return false;
  }
}
