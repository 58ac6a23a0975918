import { ResultTooLargeError, UnserializableResultError } from '../errors/task.errors.js';
import { findNonJson } from '../primitives/json.js';
import { heaviestPath, jsonBound, jsonBytes } from '../primitives/json-size.js';

/** Why what a task returned cannot be stored; undefined when it can. */
export function problemOfResult(task: string, returned: unknown, limit: number): Error | undefined {
  const bound = readableBound(returned);
  if (bound >= 0 && bound <= limit) return undefined;
  const offence = bound < 0 ? findNonJson(returned, 'result') : undefined;
  if (offence) {
    return new UnserializableResultError(
      `Task "${task}" returned what cannot be stored as JSON: ${offence.path} is ${offence.found}.`,
    );
  }
  const bytes = limit === Infinity ? 0 : jsonBytes(returned);
  return bytes > limit
    ? new ResultTooLargeError(task, heaviestPath(returned, 'result'), bytes, limit)
    : undefined;
}

/** A getter or a proxy that throws is looked at more closely, as all that is in doubt. */
function readableBound(value: unknown): number {
  try {
    return jsonBound(value);
  } catch {
    return -1;
  }
}
