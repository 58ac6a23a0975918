import type { ItemForm } from '../canvas/canvas-data.js';
import { type EachTraits, makeChunks, makeEach } from '../canvas/each.js';
import { makeSignature } from '../canvas/signature.js';
import { InvalidTaskError } from '../errors/configuration.errors.js';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import { Chunks } from './chunks.js';
import type { CanvasPublisher } from './port.js';
import { Signature } from './signature.js';
import type { ChunksMaker, EachMaker, EachOptions, TaskMaker, TasksOf } from './task-types.js';

/** What a class says about one of its task methods. */
export interface TaskLabel {
  readonly name: string;
  /** The queue that its declaration names. */
  readonly queue?: string;
}

/**
 * The makers of a class's tasks, by method name.
 *
 * A method that is no task is refused as soon as it is asked for, not when a worker somewhere fails to find it.
 *
 * @param tasks the class's task methods
 * @param source the class's name, for the message
 * @param elsewhere task methods of the class that cannot be called here, and why
 */
export function createTaskMakers<T>(
  tasks: ReadonlyMap<string, TaskLabel>,
  publisher: CanvasPublisher,
  source = 'This class',
  elsewhere: ReadonlyMap<string, string> = new Map(),
): TasksOf<T> {
  const makers: Record<string, TaskMaker<unknown[], unknown>> = {};
  for (const [method, label] of tasks) makers[method] = createTaskMaker(publisher, label);
  return new Proxy(Object.freeze(makers), {
    get(target, key): unknown {
      if (key in target || typeof key === 'symbol' || ASKED_OF_ANY_OBJECT.has(key)) {
        return Reflect.get(target, key);
      }
      const reason = elsewhere.get(key);
      if (reason !== undefined) throw new InvalidTaskError(reason);
      throw new InvalidTaskError(
        `${source} has no task method "${key}". ` +
          (tasks.size === 0
            ? `None of its methods carries @Task().`
            : `Its tasks are ${[...tasks.keys()].join(', ')}; another method becomes one with @Task().`),
      );
    },
  }) as unknown as TasksOf<T>;
}

/**
 * What others look for on an object that they know nothing about: `await`, JSON, test runners, and Nest on
 * whatever a factory provider returns.
 */
const ASKED_OF_ANY_OBJECT: ReadonlySet<string> = new Set([
  'then',
  'toJSON',
  'asymmetricMatch',
  'nodeType',
  '$$typeof',
  'onModuleInit',
  'onModuleDestroy',
  'onApplicationBootstrap',
  'beforeApplicationShutdown',
  'onApplicationShutdown',
]);

/** The maker of one task. */
export function createTaskMaker<Args extends unknown[], R>(
  publisher: CanvasPublisher,
  { name, queue }: TaskLabel,
): TaskMaker<Args, R> {
  const label = queue === undefined ? {} : { taskQueue: queue };
  const make = (args: readonly unknown[], immutable: boolean): Signature<[], R, unknown[]> =>
    new Signature(publisher, makeSignature(name, args, { immutable, ...label }));
  const traitsOf = (options: EachOptions | undefined): EachTraits => ({ ...label, ...readEach(options) });
  const eachOf = (form: ItemForm): unknown => {
    return (items?: Iterable<unknown>, options?: EachOptions) =>
      new Signature(publisher, makeEach(form, name, items, traitsOf(options)));
  };
  const maker: TaskMaker<unknown[], R> = {
    taskName: name,
    s: ((...stored: unknown[]) => make(stored, false)) as TaskMaker<unknown[], R>['s'],
    si: (...args) => make(args, true),
    map: eachOf('map') as EachMaker<unknown, R>,
    starmap: eachOf('starmap') as EachMaker<readonly unknown[], R>,
    chunks: ((argLists: Iterable<readonly unknown[]>, size: number, options?: EachOptions) =>
      new Chunks(publisher, makeChunks(name, argLists, size, traitsOf(options)))) as ChunksMaker<
      unknown[],
      R
    >,
    delay: (...args) => make(args, false).delay(),
    applyAsync: (args = [], options = {}) => make(args, false).applyAsync([], options),
  };
  return Object.freeze(maker) as unknown as TaskMaker<Args, R>;
}

/** @throws InvalidCanvasError when an option is unknown or no boolean */
function readEach(options: EachOptions = {}): EachOptions {
  const { settle, ...others } = options as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw new InvalidCanvasError(`options.${unknown}`, 'unknown option; known is settle');
  if (settle === undefined) return {};
  if (typeof settle !== 'boolean')
    throw new InvalidCanvasError('options.settle', `expected true or false, got ${typeof settle}`);
  return { settle };
}
