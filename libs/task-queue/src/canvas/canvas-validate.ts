import { InvalidCanvasError } from '../errors/publish.errors.js';
import { TaskQueueError } from '../errors/task-queue.error.js';
import { checkCallOptions } from './call-options.js';
import type { CallOptions, CanvasData } from './canvas-data.js';
import { type CanvasLimits, checkCanvasSize, UNLIMITED } from './canvas-size.js';
import { type CanvasPath, visitCanvas } from './canvas-walk.js';
import { NO_STEP } from './chain.js';
import { checkArguments } from './check-arguments.js';
import { NO_BODY } from './chord.js';
import { checkDeadline } from './deadline-rule.js';
import { readBudget } from './header-rules.js';
import { AMENDED_PART, checkLate } from './late-rule.js';

/**
 * Refuses what cannot run or cannot travel, before anything is published. Data of any origin may be given:
 * nothing about its shape is taken for granted.
 *
 * One walk; a canvas of 100,000 members costs some tens of milliseconds.
 *
 * @throws InvalidCanvasError with the path of the node and what is wrong there
 * @throws UnserializableArgumentError with the task's name and the path of the value
 * @throws ArgumentTooLargeError, CanvasTooLargeError with the path and size of what is over a limit
 * @throws InvalidIdError when a chosen task id cannot be used
 */
export function validateCanvas(data: unknown, limits: CanvasLimits = UNLIMITED): asserts data is CanvasData {
  try {
    visitCanvas(data as CanvasData, (node, path) => {
      checkShape(node, path, limits);
      checkCallbacks(node, path);
      if (node.options !== undefined) checkOptions(node, path);
    });
    checkCanvasSize(data as CanvasData, limits.canvasBytes);
  } catch (error) {
    if (error instanceof TaskQueueError) throw error;
    // A getter or a proxy of the caller's threw.
    throw new InvalidCanvasError('root', 'it holds something that cannot be read');
  }
}

function checkShape(node: unknown, path: CanvasPath, limits: CanvasLimits): void {
  if (!isRecord(node)) throw invalid(path, `expected a node of a canvas, got ${nameOf(node)}`);
  switch (node['kind']) {
    case 'task':
      return checkTask(node, path, limits);
    case 'chain':
      if (list(node, 'steps', path).length === 0) throw invalid(path, NO_STEP);
      return;
    case 'group':
      list(node, 'members', path);
      if (node['failFast'] !== undefined && typeof node['failFast'] !== 'boolean') {
        throw invalid(path, `failFast has to be true or false, got ${nameOf(node['failFast'])}`);
      }
      return;
    case 'chord':
      list(node, 'header', path);
      if (node['body'] === undefined || node['body'] === null) throw invalid(path, NO_BODY);
      if (node['recovery'] !== undefined && !isName(node['recovery'])) {
        throw invalid(path, `recovery has to be the name of a strategy, got ${nameOf(node['recovery'])}`);
      }
      if (node['budget'] !== undefined) readBudget(node['budget'], below(path, 'budget'));
      if (node['deadline'] !== undefined) checkDeadline(node['deadline'], below(path, 'deadline'));
      checkLate(node, below(path, 'late'));
      if (node['late'] === 'amend' && !isWhole(path.toString())) throw invalid(path, AMENDED_PART);
      return;
    default:
      throw invalid(path, `unknown kind ${JSON.stringify(node['kind'])}; known are ${KINDS}`);
  }
}

/** Callbacks are canvases of their own. */
function isWhole(path: string): boolean {
  return path === 'root' || /(?:^|\.)(?:(?:links|errbacks)\[\d+\]|late)$/.test(path);
}

const KINDS = 'task, chain, group, chord';

function checkTask(
  node: Readonly<Record<string, unknown>>,
  path: CanvasPath,
  { argumentBytes, argumentsAside }: CanvasLimits,
): void {
  if (!isName(node['task'])) throw invalid(path, 'a task needs a name');
  const args = list(node, 'args', path);
  if (node['immutable'] !== undefined && typeof node['immutable'] !== 'boolean') {
    throw invalid(path, `immutable has to be true or false, got ${nameOf(node['immutable'])}`);
  }
  const { taskQueue } = node;
  if (taskQueue !== undefined && (!isName(taskQueue) || taskQueue.includes(':'))) {
    const got = isName(taskQueue) ? JSON.stringify(taskQueue) : nameOf(taskQueue);
    throw invalid(path, `taskQueue has to be the name of a queue, without ":", got ${got}`);
  }
  if (node['each'] !== undefined) checkItems(node['each'], args, path);
  if (node['settle'] !== undefined) checkSettle(node['settle'], node['each'], path);
  if (argumentsAside !== true) checkArguments(node['task'], args, argumentBytes, (at) => below(path, at));
}

/** The items may yet come from the canvas; those that are there have to be a list. */
function checkItems(each: unknown, args: readonly unknown[], path: CanvasPath): void {
  if (each !== 'map' && each !== 'starmap') {
    throw invalid(path, `each has to be "map" or "starmap", got ${JSON.stringify(each)}`);
  }
  if (args.length === 0) return;
  const [items] = args;
  if (!Array.isArray(items) || args.length > 1) throw invalid(path, `a ${each} takes one list of items`);
  const odd = each === 'starmap' ? items.findIndex((item) => !Array.isArray(item)) : -1;
  if (odd >= 0) throw invalid(path, `item ${odd} of a starmap has to be a list of arguments`);
}

function checkSettle(settle: unknown, each: unknown, path: CanvasPath): void {
  if (typeof settle !== 'boolean')
    throw invalid(path, `settle has to be true or false, got ${nameOf(settle)}`);
  if (settle && each === undefined) throw invalid(path, 'settle is for the items of a map, starmap or chunk');
}

function checkCallbacks(node: CanvasData, path: CanvasPath): void {
  if (node.links !== undefined) list(node as unknown as Record<string, unknown>, 'links', path);
  if (node.errbacks !== undefined) list(node as unknown as Record<string, unknown>, 'errbacks', path);
}

function checkOptions(node: CanvasData, path: CanvasPath): void {
  const at = below(path, 'options');
  const options: CallOptions = node.options ?? {};
  if (!isRecord(options)) throw new InvalidCanvasError(at, `expected an object, got ${nameOf(options)}`);
  checkCallOptions(options, at);
  if (options.once !== undefined && node.kind !== 'task' && path.toString() !== 'root') {
    throw new InvalidCanvasError(`${at}.idempotencyKey`, KEY_OF_A_PART);
  }
  if ('taskId' in options && options['taskId'] !== undefined && path.toString() !== 'root') {
    throw new InvalidCanvasError(`${at}.taskId`, ID_OF_A_PART);
  }
}

const KEY_OF_A_PART =
  'a key belongs to a task, or to the canvas as a whole; give it to the tasks of this part';
const ID_OF_A_PART =
  'an id of your own belongs to a canvas as a whole; the ids of its parts follow from that one';

function list(node: Readonly<Record<string, unknown>>, field: string, path: CanvasPath): readonly unknown[] {
  const value = node[field];
  if (!Array.isArray(value)) throw invalid(path, `${field} has to be an array, got ${nameOf(value)}`);
  return value;
}

function invalid(path: CanvasPath, problem: string): InvalidCanvasError {
  return new InvalidCanvasError(path.toString(), problem);
}

function below(path: CanvasPath, field: string): string {
  const at = path.toString();
  return at === 'root' ? field : `${at}.${field}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}
