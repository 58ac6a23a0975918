import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { JsonValue } from '../primitives/json.js';
import type { ItemForm, SignatureData } from './canvas-data.js';

/** What a signature says beside its task and arguments. */
export interface SignatureTraits {
  readonly immutable?: boolean;
  readonly taskQueue?: string;
  readonly each?: ItemForm;
  readonly settle?: boolean;
}

/**
 * A call of one task, not published yet.
 *
 * The list of arguments is copied, the arguments are not: they become JSON when the call is published.
 *
 * @param task the task's name
 * @throws InvalidCanvasError when the name is empty or the arguments are no list
 */
export function makeSignature(
  task: string,
  args: readonly unknown[] = [],
  { immutable = false, taskQueue, each, settle = false }: SignatureTraits = {},
): SignatureData {
  if (typeof task !== 'string' || task === '') {
    throw new InvalidCanvasError('root', 'a signature needs the name of a task');
  }
  if (!Array.isArray(args)) {
    throw new InvalidCanvasError('root', `the arguments of "${task}" have to be an array`);
  }
  return Object.freeze({
    kind: 'task',
    task,
    args: copyArguments(args),
    ...(immutable ? { immutable } : {}),
    ...(each === undefined ? {} : { each }),
    ...(settle ? { settle } : {}),
    ...(taskQueue === undefined ? {} : { taskQueue }),
  });
}

/**
 * A copy without `undefined` at its end: an optional parameter that is given as `undefined` is one that is
 * not given, and JSON has no other way to say so. Anywhere else `undefined` is refused at publish time.
 */
export function copyArguments(args: readonly unknown[]): readonly JsonValue[] {
  let length = args.length;
  while (length > 0 && args[length - 1] === undefined) length--;
  return Object.freeze(args.slice(0, length) as JsonValue[]);
}
