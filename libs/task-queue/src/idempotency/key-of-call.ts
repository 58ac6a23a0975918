import { createHash } from 'node:crypto';
import type { CallKey, CanvasData } from '../canvas/canvas-data.js';
import type { StoredValues } from '../codec/stored-values.js';
import type { JsonValue } from '../primitives/json.js';
import type { KeyRules, TaskKey } from '../task/idempotency.js';

/** A call that has an idempotency key. */
export interface KeyedCall {
  readonly key: string;
  readonly rules: KeyRules;
  /** Names the key together with its scope: text of a fixed length. */
  readonly name: string;
  /** Is another one for other arguments. */
  readonly digest: string;
}

/** A key that is made of arguments as the task gets them, not as they are stored. */
export function readingKey(declared: TaskKey | undefined, values: StoredValues): TaskKey | undefined {
  if (declared === undefined || !values.areRead) return declared;
  return { ...declared, of: (args) => declared.of(values.readIfPossible(args)) };
}

/** The key of one execution: what its task says, which no call can get around, else what the call says. */
export function keyOfExecution(
  task: string,
  args: readonly JsonValue[],
  call: CallKey | undefined,
  declared: TaskKey | undefined,
): KeyedCall | undefined {
  if (declared !== undefined) return keyed(declared.of(args), declared, task, args);
  return call && keyed(call.key, call, task, args);
}

/** The key of a canvas that is published: what it says as a whole, else what its one task says of itself. */
export function keyOfPublication(
  canvas: CanvasData,
  declaredBy: (task: string) => TaskKey | undefined,
): KeyedCall | undefined {
  const call = canvas.options?.once;
  if (canvas.kind !== 'task') {
    return call && keyed(call.key, call, canvas.kind, structureOf(canvas));
  }
  if (call !== undefined) return keyed(call.key, call, canvas.task, canvas.args);
  // An id of the caller's own names the call already; items of a list have no key together.
  if (canvas.options?.taskId !== undefined || canvas.each !== undefined) return undefined;
  return keyOfExecution(canvas.task, canvas.args, undefined, declaredBy(canvas.task));
}

function keyed(key: string, rules: KeyRules, scope: string, of: unknown): KeyedCall {
  return {
    key,
    rules,
    name: hash([rules.scope ?? scope, key]),
    digest: hash(of).slice(0, DIGEST_LENGTH),
  };
}

const DIGEST_LENGTH = 22;

/** The tasks and arguments of a canvas, without how they are called. */
function structureOf(canvas: CanvasData): unknown {
  switch (canvas.kind) {
    case 'task':
      return { task: canvas.task, args: canvas.args };
    case 'chain':
      return { chain: canvas.steps.map(structureOf) };
    case 'group':
      return { group: canvas.members.map(structureOf) };
    case 'chord':
      return { chord: canvas.header.map(structureOf), body: structureOf(canvas.body) };
  }
}

function hash(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('base64url');
}

/** The same value with the keys of its objects in order: two spellings of one JSON value have one hash. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  entries.sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}
