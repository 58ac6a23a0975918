import type { CanvasData } from '../canvas/canvas-data.js';
import { UndecodablePayloadError } from '../errors/task.errors.js';
import type { CanvasEnvelope, HookEnvelope, TaskEnvelope } from './envelope.js';

/**
 * Reads the data of a job in a user's queue.
 *
 * @throws UndecodablePayloadError when this library did not write it
 */
export function decodeTask(data: unknown): TaskEnvelope | HookEnvelope {
  const fields = asRecord(data);
  if (fields !== undefined && fields['v'] === 1) {
    if (Array.isArray(fields['args']) && !('hook' in fields) && isInput(fields['input']) && isCall(fields)) {
      return fields as unknown as TaskEnvelope;
    }
    if (typeof fields['hook'] === 'string' && typeof fields['taskId'] === 'string')
      return fields as unknown as HookEnvelope;
  }
  throw new UndecodablePayloadError(
    `The job's data is not a task of version 1: expected { v: 1, args: […] }, got ${shapeOf(data)}. ` +
      `It was probably added to the queue by another program.`,
  );
}

/** Whether what stands beside the arguments can be used as it is. */
function isCall({
  headers,
  expires,
  softTimeLimitMs,
  timeLimitMs,
  maxRetries,
  each,
  settle,
  done,
  retried,
  replaced,
  attempts,
  lost,
  parked,
  redriven,
}: Record<string, unknown>): boolean {
  const isRecord = (value: unknown): boolean => value === undefined || asRecord(value) !== undefined;
  const isNumber = (value: unknown): boolean => value === undefined || Number.isFinite(value);
  const by = asRecord(asRecord(replaced)?.['by']);
  return (
    isRecord(headers) &&
    isRecord(parked) &&
    (attempts === undefined ||
      (Array.isArray(attempts) && attempts.every((one) => asRecord(one) !== undefined))) &&
    [expires, softTimeLimitMs, timeLimitMs, maxRetries, lost].every(isNumber) &&
    (each === undefined || each === 'map' || each === 'starmap') &&
    (settle === undefined || typeof settle === 'boolean') &&
    (done === undefined || Array.isArray(done)) &&
    isRedriven(redriven) &&
    (retried === undefined || asRecord(asRecord(retried)?.['made']) !== undefined) &&
    (replaced === undefined || (typeof by?.['queue'] === 'string' && typeof by['id'] === 'string'))
  );
}

function isRedriven(redriven: unknown): boolean {
  if (redriven === undefined) return true;
  const fields = asRecord(redriven);
  return isSize(fields?.['generation']) && Array.isArray(fields?.['changed']);
}

/** Whether it can be resolved: one that cannot would be asked for again and again, as if Redis were away. */
function isInput(input: unknown): boolean {
  if (input === undefined) return true;
  const fields = asRecord(input);
  const members = (node: unknown): boolean => typeof node === 'string' && isSize(fields?.['size']);
  switch (fields?.['from']) {
    case 'value':
      return 'value' in fields;
    case 'child':
      return typeof fields['queue'] === 'string' && typeof fields['id'] === 'string';
    case 'members':
      return members(fields['node']);
    case 'failure':
      return asRecord(fields['failure']) !== undefined && members(fields['members']);
    default:
      return false;
  }
}

/** Whether a job in the canvas queue releases what handles the dead letter of another one there. */
export function isLetterRelease(data: unknown): data is HookEnvelope {
  const fields = asRecord(data);
  return fields?.['v'] === 1 && fields['hook'] === 'dead-letter' && typeof fields['taskId'] === 'string';
}

/**
 * Reads the data of a job in the canvas queue.
 *
 * @throws UndecodablePayloadError when this library did not write it
 */
export function decodeNode(data: unknown): CanvasEnvelope {
  const fields = asRecord(data);
  if (fields !== undefined && fields['v'] === 1 && isNode(fields)) {
    return fields as unknown as CanvasEnvelope;
  }
  throw new UndecodablePayloadError(
    `The job's data is not a canvas node of version 1: got ${shapeOf(data)}.`,
  );
}

/** As far as a forged one could do harm: what is to be published later is looked at more closely when it is. */
function isNode(fields: Record<string, unknown>): boolean {
  const { node, size, rest, body, recovery, links, errbacks, budget, deadline, late, redriven, history } =
    fields;
  const areCanvases = (list: unknown): boolean => Array.isArray(list) && list.every(isCanvas);
  if (links !== undefined && !areCanvases(links)) return false;
  if (errbacks !== undefined && !areCanvases(errbacks)) return false;
  if ([budget, deadline].some((rule) => rule !== undefined && asRecord(rule) === undefined)) return false;
  if (!isRedriven(redriven) || (history !== undefined && !Array.isArray(history))) return false;
  switch (node) {
    case 'task':
    case 'hold':
    case 'late':
      return true;
    case 'sentinel':
      return isGeneration(fields['generation']);
    case 'deadline':
      return Number.isFinite(fields['afterMs']) && isGeneration(fields['generation']);
    case 'chain':
      return isSize(size) && areCanvases(rest);
    case 'group':
      return isSize(size);
    case 'chord':
      return (
        isSize(size) &&
        isCanvas(body) &&
        typeof recovery === 'string' &&
        (late === undefined || late === 'amend' || isCanvas(late))
      );
    default:
      return false;
  }
}

function isCanvas(canvas: unknown): boolean {
  return CANVAS_KINDS.has(asRecord(canvas)?.['kind']);
}

const CANVAS_KINDS: ReadonlySet<unknown> = new Set<CanvasData['kind']>(['task', 'chain', 'group', 'chord']);

/** More members than anybody can publish; a forged size must not make a worker look for as many. */
const MAX_SIZE = 10_000_000;

/** One that is not the first is named. */
function isGeneration(generation: unknown): boolean {
  return generation === undefined || isSize(generation);
}

function isSize(size: unknown): boolean {
  return Number.isSafeInteger(size) && (size as number) >= 0 && (size as number) <= MAX_SIZE;
}

function asRecord(data: unknown): Record<string, unknown> | undefined {
  return typeof data === 'object' && data !== null && !Array.isArray(data)
    ? (data as Record<string, unknown>)
    : undefined;
}

/** What data is, without what is in it: nobody can say which of it may be shown. */
function shapeOf(data: unknown): string {
  if (typeof data === 'string') return `a text of ${data.length} characters`;
  if (Array.isArray(data)) return `a list of ${data.length}`;
  const fields = asRecord(data);
  if (fields === undefined) return data === null ? 'null' : typeof data;
  const keys = Object.keys(fields);
  const shown = keys.slice(0, KEYS_SHOWN).map((key) => JSON.stringify(key.slice(0, 40)));
  return `an object with ${keys.length === 0 ? 'no keys' : `the keys ${shown.join(', ')}${keys.length > KEYS_SHOWN ? ' …' : ''}`}`;
}

const KEYS_SHOWN = 8;
