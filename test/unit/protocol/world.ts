import type { Platform } from '../../../libs/task-queue/src/backend/backend.js';
import type { Delivery, Verdict } from '../../../libs/task-queue/src/backend/delivery.js';
import type { Service, Workers } from '../../../libs/task-queue/src/backend/workers.js';
import type { CanvasData } from '../../../libs/task-queue/src/canvas/canvas-data.js';
import { TaskQueueEngine } from '../../../libs/task-queue/src/engine/task-queue-engine.js';
import { timesParked } from '../../../libs/task-queue/src/flow/envelope.js';
import type { FlowPlan } from '../../../libs/task-queue/src/flow/flow-plan.js';
import { MemoryBackend } from '../../../libs/task-queue/src/memory/memory-backend.js';
import { keyOf, type MemoryJob } from '../../../libs/task-queue/src/memory/memory-job.js';
import { MemoryKeyStore } from '../../../libs/task-queue/src/memory/memory-key-store.js';
import { MemoryLocks } from '../../../libs/task-queue/src/memory/memory-locks.js';
import { MemoryStore } from '../../../libs/task-queue/src/memory/memory-store.js';
import { VirtualClock } from '../../../libs/task-queue/src/memory/virtual-clock.js';
import { resolveOptions } from '../../../libs/task-queue/src/options/resolve-options.js';
import type { JsonValue } from '../../../libs/task-queue/src/primitives/json.js';

/**
 * The library itself, every step of which somebody else decides: the engine, the processors and the pure decisions are
 * those of production, the store is the one in memory, and nothing goes on unless it is told to.
 *
 * An activity is an attempt at a task, an activation of a node, or something that is done from outside. It runs until it
 * speaks to the store, and stops there; a step lets one such command happen. Its worker can be lost at any of those
 * stops: the job is then there to be taken up again, and the activity goes on as one that has been superseded, at any
 * later time or never, which is what a crash is.
 */
export interface Scenario {
  readonly canvas: CanvasData;
  /** Handlers by the names of their tasks. One that throws fails. */
  readonly tasks: Readonly<Record<string, (args: readonly JsonValue[]) => JsonValue>>;
  /** How many workers may be lost. */
  readonly losses: number;
  /** Done once from outside, at any time. */
  readonly meanwhile?: (engine: TaskQueueEngine) => Promise<unknown>;
}

/** What can happen next. */
export type Move =
  | { readonly do: 'start'; readonly job: string }
  | { readonly do: 'step'; readonly activity: number }
  | { readonly do: 'lose'; readonly activity: number }
  | { readonly do: 'meanwhile' }
  /** Nothing else is left to do now: the clock goes on to what is delayed. */
  | { readonly do: 'wait' };

export const CANVAS_ID = 'c';
/** Activities of workers that have not been lost, at a time. */
const WIDTH = 2;
const BEGIN_MS = 1_000_000;

interface Command {
  readonly name: string;
  readonly happen: () => void;
}

interface Activity {
  readonly number: number;
  readonly name: string;
  readonly job: MemoryJob | undefined;
  /** What it has heard from the store: with its code, all that it knows. */
  readonly heard: string[];
  readonly commands: Command[];
  isLost: boolean;
  isOver: boolean;
}

export class World {
  readonly #clock = new VirtualClock(BEGIN_MS);
  /** Whose commands come now: one activity goes on at a time, up to its next command. */
  #current: Activity | undefined;
  readonly #services = new Map<string, Service>();
  readonly #activities: Activity[] = [];
  readonly #store: CountingStore;
  readonly #engine: TaskQueueEngine;
  /** How often each handler was called. */
  readonly calls = new Map<string, number>();
  /** Whether nobody has anything left to do, except for who was lost; as of the last look at what can happen. */
  isQuiet = false;
  #losses: number;
  #meanwhile: 'to come' | 'begun' | 'none';

  private constructor(private readonly scenario: Scenario) {
    this.#losses = scenario.losses;
    this.#meanwhile = scenario.meanwhile === undefined ? 'none' : 'to come';
    this.#store = new CountingStore(this.#clock, { ready: () => undefined, failed: () => undefined });
    const platform: Platform = { clock: this.#clock, random: () => 0.5, backend: () => this.#backend() };
    const options = resolveOptions(
      { connection: { host: 'nowhere' }, defaults: { resultExpires: '10d' }, worker: { currentTask: false } },
      {},
    );
    this.#engine = new TaskQueueEngine(options, SILENCE, platform);
    for (const [name, handler] of Object.entries(scenario.tasks)) {
      this.#engine.registry.add({
        name,
        queue: 'default',
        source: name,
        options: { ignoreResult: false },
        policies: [],
        invoke: (args, { id }) => {
          const call = `${name} ${id}`;
          this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
          return handler(args);
        },
      });
    }
  }

  /** A world in which the canvas of a scenario has just been published. */
  static async begin(scenario: Scenario): Promise<World> {
    const world = new World(scenario);
    world.#engine.worker.start();
    await world.#engine.publish({
      ...scenario.canvas,
      options: { ...scenario.canvas.options, taskId: CANVAS_ID },
    });
    return world;
  }

  /** What can happen now. */
  moves(): Move[] {
    const going = this.#activities.filter(({ isOver }) => !isOver);
    const step = ({ number }: Activity): Move => ({ do: 'step', activity: number });
    const moves: Move[] = going.filter(({ isLost }) => !isLost).map(step);
    const busy = going.filter(({ isLost, job }) => !isLost && job !== undefined);
    if (this.#losses > 0) for (const { number } of busy) moves.push({ do: 'lose', activity: number });
    if (busy.length < WIDTH) {
      for (const queue of this.#services.keys())
        for (const job of this.#store.line(queue)) moves.push({ do: 'start', job: keyOf(job) });
    }
    if (this.#meanwhile === 'to come') moves.push({ do: 'meanwhile' });
    if (moves.length === 0 && this.#store.nextDueMs(() => true) !== undefined) moves.push({ do: 'wait' });
    this.isQuiet = moves.length === 0;
    return [...moves, ...going.filter(({ isLost }) => isLost).map(step)];
  }

  async make(move: Move): Promise<void> {
    switch (move.do) {
      case 'start':
        this.#start(move.job);
        break;
      case 'step':
        this.#current = this.#activities[move.activity];
        this.#current?.commands.shift()?.happen();
        break;
      case 'lose':
        this.#lose(this.#activities[move.activity]);
        break;
      case 'meanwhile':
        this.#meanwhile = 'begun';
        this.#begin(
          'meanwhile',
          undefined,
          () => this.scenario.meanwhile?.(this.#engine) ?? Promise.resolve(),
        );
        break;
      case 'wait': {
        const dueMs = this.#store.nextDueMs(() => true) ?? 0;
        this.#clock.moveTo(dueMs);
        this.#store.promote(dueMs);
      }
    }
    await settled();
    this.#current = undefined;
  }

  /** The same for worlds that go on alike. */
  get key(): string {
    const jobs = [...this.#store.all()].map((job) => [
      keyOf(job),
      job.place,
      this.#activities.findLast((one) => one.job === job && !one.isOver && !one.isLost)?.number,
      job.data,
      inOrder(job.pending),
      inOrder(job.values),
      inOrder(job.failures),
      inOrder(job.left ?? []),
      job.stage,
      job.size,
      job.returnvalue,
      job.failedReason,
      job.attemptsMade,
      job.timesLost,
      job.dueMs,
    ]);
    const going = this.#activities
      .filter(({ isOver }) => !isOver)
      .map(({ job, name, heard, isLost, commands }) => [
        job?.id ?? name,
        isLost,
        heard,
        commands.map((command) => command.name),
      ]);
    return JSON.stringify([
      inOrder(jobs),
      inOrder(this.#store.record(CANVAS_ID)?.fields ?? []),
      ['default', '_canvas'].map((queue) => this.#store.line(queue).map(keyOf)),
      inOrder(going),
      inOrder(this.#store.made),
      inOrder(this.calls),
      this.#losses,
      this.#meanwhile,
      this.#clock.wallMs(),
    ]);
  }

  /** How often a job of each id was made. */
  made(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#store.made);
  }

  /** What every handle would read. */
  async state(id = CANVAS_ID): Promise<string> {
    return (await this.#engine.reader.read(id)).state;
  }

  async value(): Promise<unknown> {
    const snapshot = await this.#engine.reader.read(CANVAS_ID);
    return 'value' in snapshot ? snapshot.value : undefined;
  }

  /** What is there that has not ended. */
  unfinished(): string[] {
    return [...this.#store.unfinished()].map(({ id, place }) => `${id} ${place}`);
  }

  /** Where the canvas is, in the words of docs/protocol.md. */
  async phase(): Promise<Phase> {
    const node = this.#store.job({ queue: '_canvas', id: CANVAS_ID });
    const record = await this.#engine.ledger.readNode(CANVAS_ID);
    if (node === undefined) throw new Error('the canvas is gone');
    if (node.place === 'completed') return 'succeeded';
    if (node.place === 'failed') return 'failed';
    if (record.failure !== undefined) return 'failing';
    if (node.returnvalue !== undefined) return 'succeeding';
    if (record.stage?.state === 'adding') return 'adding';
    if (record.stage?.state === 'added') return node.place === 'waiting-children' ? 'body' : 'after the body';
    if (record.decision !== undefined) return 'decided';
    return node.place === 'waiting-children' ? 'header' : 'after the header';
  }

  async end(): Promise<void> {
    await this.#engine.worker.stop();
  }

  #backend(): MemoryBackend {
    const backend = new MemoryBackend({
      store: this.#store,
      locks: new MemoryLocks(this.#clock),
      idempotencyKeys: new MemoryKeyStore(),
      listeners: new Set(),
      watchers: new Set(),
      living: new Set(),
      published: async () => undefined,
      eager: () => false,
      hire: () => this.#workers(),
    });
    return new Proxy(backend, {
      get: (target, port) => {
        const value = Reflect.get(target, port) as unknown;
        return GATED.has(String(port)) ? this.#gated(String(port), value as object) : value;
      },
    });
  }

  /** A port on which each command waits for its turn, when it comes from an activity. */
  #gated<Port extends object>(name: string, port: Port): Port {
    return new Proxy(port, {
      get: (target, method) => {
        const value = Reflect.get(target, method) as unknown;
        if (typeof value !== 'function') return value;
        const call = value.bind(target) as (...args: unknown[]) => unknown;
        // Pages are read at once: here a collection is one page.
        if (value.constructor.name === 'AsyncGeneratorFunction') return call;
        return (...args: unknown[]) => this.#command(`${name}.${String(method)}`, () => call(...args));
      },
    });
  }

  async #command(name: string, call: () => unknown): Promise<unknown> {
    const activity = this.#current;
    if (activity === undefined) return call();
    await new Promise<void>((happen) => activity.commands.push({ name, happen }));
    const answer = await call();
    activity.heard.push(`${name} ${JSON.stringify(answer) ?? ''}`);
    return answer;
  }

  #workers(): Workers {
    return {
      loops: [],
      serve: (service) => void this.#services.set(service.queue, service),
      stopFetching: () => undefined,
      idle: async () => true,
      letGo: async () => undefined,
    };
  }

  #start(key: string): void {
    const job = [...this.#services.keys()]
      .flatMap((queue) => this.#store.line(queue))
      .find((one) => keyOf(one) === key);
    const service = job && this.#services.get(job.queue);
    if (job === undefined || service === undefined) throw new Error(`${key} cannot be started`);
    const token = this.#store.activate(job);
    const delivery = this.#delivery(job, token);
    this.#begin(job.id, job, async () => {
      const verdict = await service.process(delivery);
      await this.#command(`end by ${verdict.do}`, () => this.#apply(job, token, verdict));
    });
  }

  #begin(name: string, job: MemoryJob | undefined, work: () => Promise<unknown>): void {
    const activity: Activity = {
      number: this.#activities.length,
      name,
      job,
      heard: [],
      commands: [],
      isLost: false,
      isOver: false,
    };
    this.#activities.push(activity);
    this.#current = activity;
    void work().finally(() => (activity.isOver = true));
  }

  #lose(activity: Activity | undefined): void {
    if (activity?.job === undefined) throw new Error('nothing to lose');
    activity.isLost = true;
    this.#losses -= 1;
    // What waits for its children, or has ended, is nobody's any more.
    if (activity.job.place !== 'active') return;
    activity.job.timesLost += 1;
    this.#store.again(activity.job, 0);
  }

  /** What BullMQ does with a verdict: nothing, unless the lock is still held. */
  #apply(job: MemoryJob, token: string, verdict: Verdict): void {
    if (job.token !== token) return;
    if (verdict.do === 'complete') this.#store.complete(job, JSON.stringify(verdict.value));
    else if (verdict.do === 'fail') this.#store.fail(job, verdict.message);
    else if (verdict.do !== 'leave') this.#store.again(job, verdict.delayMs ?? 0);
    verdict.onStored?.();
  }

  #delivery(job: MemoryJob, token: string): Delivery {
    const data = JSON.parse(job.data) as unknown;
    return {
      id: job.id,
      name: job.name,
      queue: job.queue,
      data,
      token,
      attemptsMade: job.attemptsMade,
      activations: job.activations - timesParked(data),
      startedAtMs: BEGIN_MS,
      timesLost: job.timesLost,
      waitForChildren: async () => {
        const wait = (): boolean => job.token !== token || this.#store.waitForChildren(job);
        return (await this.#command('waitForChildren', wait)) as boolean;
      },
    };
  }
}

/** Where a chord can be: the states of docs/protocol.md. */
export const PHASES = [
  'header',
  'after the header',
  'decided',
  'adding',
  'body',
  'after the body',
  'succeeding',
  'failing',
  'succeeded',
  'failed',
] as const;

export type Phase = (typeof PHASES)[number];

/** The ports whose commands change or read what others change. */
const GATED = new Set(['ledger', 'publisher', 'headers', 'jobs', 'failures']);

const SILENCE = {
  log: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  debug: () => undefined,
};

/** Counts how often a job of each id was made: one that was removed and made again was released twice. */
class CountingStore extends MemoryStore {
  readonly made = new Map<string, number>();

  override add(plan: FlowPlan, parent?: MemoryJob): void {
    if (this.job(plan.job) === undefined) {
      const { id } = plan.job;
      this.made.set(id, (this.made.get(id) ?? 0) + 1);
    }
    super.add(plan, parent);
  }
}

/** What is the same in any order. */
function inOrder(things: Iterable<unknown>): string[] {
  return Array.from(things, (thing) => JSON.stringify(thing)).sort();
}

/** Everything that needs no command has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
