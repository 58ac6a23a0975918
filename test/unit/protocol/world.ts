import type { Platform } from '../../../libs/task-queue/src/backend/backend.js';
import type { Service, Workers } from '../../../libs/task-queue/src/backend/workers.js';
import type { DeadlineStart } from '../../../libs/task-queue/src/canvas/deadline-rule.js';
import type { ClosingRecord } from '../../../libs/task-queue/src/chords/closing-record.js';
import { TaskQueueEngine } from '../../../libs/task-queue/src/engine/task-queue-engine.js';
import { CANVAS_QUEUE } from '../../../libs/task-queue/src/flow/ids.js';
import { MemoryBackend } from '../../../libs/task-queue/src/memory/memory-backend.js';
import {
  generationOfJob,
  isOver,
  keyOf,
  type MemoryJob,
} from '../../../libs/task-queue/src/memory/memory-job.js';
import { MemoryKeyStore } from '../../../libs/task-queue/src/memory/memory-key-store.js';
import { MemoryLocks } from '../../../libs/task-queue/src/memory/memory-locks.js';
import { VirtualClock } from '../../../libs/task-queue/src/memory/virtual-clock.js';
import { resolveOptions } from '../../../libs/task-queue/src/options/resolve-options.js';
import { generationOf } from '../../../libs/task-queue/src/task/redriven.js';
import { CountingStore } from './counting-store.js';
import { applyVerdict, BEGIN_MS, deliveryOf } from './deliveries.js';
import { type Activity, FENCED, GATED, Gates, REST } from './gates.js';
import { dueMsOf, HOLD, isForgotten, isHeldInVain, SENTINEL } from './holds.js';
import { inOrder, likenessOfActivities, likenessOfJobs } from './likeness.js';
import { type Phase, phaseOf } from './phase.js';
import { SILENCE } from './silence.js';
import { CANVAS_ID, type Move, type Scenario, type Standing } from './scenario.js';
import { standingOf } from './standing.js';

/** Activities of workers that have not been lost, at a time. */
const WIDTH = 2;
const OPTIONS = new Map(
  [0, 9].map((maxTimesLost) => {
    const worker = { currentTask: false, maxTimesLost };
    const options = { connection: { host: 'nowhere' }, defaults: { resultExpires: '10d' }, worker };
    return [maxTimesLost, resolveOptions(options, {})];
  }),
);

/**
 * The library itself, every step of which somebody else decides: the engine, the processors and the pure decisions are
 * those of production, the store is the one in memory, and nothing goes on unless it is told to.
 *
 * An activity is an attempt at a task, an activation of a node, or something that is done from outside. It runs until it
 * speaks to the store, and stops there; a step lets one such command happen. Whoever does it can be lost at any of those
 * stops: the job is then there to be taken up again, and the activity goes on as one that has been superseded, at any
 * later time or never, which is what a crash is.
 */
export class World {
  readonly #clock = new VirtualClock(BEGIN_MS);
  readonly #gates: Gates;
  readonly #services = new Map<string, Service>();
  readonly #activities: Activity[] = [];
  readonly #store: CountingStore;
  readonly #engine: TaskQueueEngine;
  /** How often each handler was called, by task and generation. */
  readonly calls = new Map<string, number>();
  /** What those came to who did something from outside: 'done', why it was refused, or the code of an error. */
  readonly outcomes = new Map<string, string>();
  /** Holds that nobody had taken away by the end of their node, although none was at work. */
  readonly forgotten: string[] = [];
  /** Whether nobody has anything left to do, except for who was lost; as of the last look at what can happen. */
  isQuiet = false;
  #losses: number;
  #waits: number;
  #isLeaseOver = false;
  #hasBegun = false;
  readonly #toCome: Set<string>;

  private constructor(private readonly scenario: Scenario) {
    this.#losses = scenario.losses;
    this.#waits = scenario.waits ?? 0;
    this.#toCome = new Set(Object.keys(scenario.meanwhile ?? {}));
    this.#store = new CountingStore(this.#clock, { ready: () => undefined, failed: () => undefined });
    this.#gates = new Gates(this.#store, scenario.defects);
    const platform: Platform = { random: () => 0.5, backend: () => this.#backend() };
    const options = OPTIONS.get(scenario.maxTimesLost ?? 9);
    if (options === undefined) throw new TypeError('there are no such options');
    this.#engine = new TaskQueueEngine(options, SILENCE, platform);
    for (const [name, decide] of Object.entries(scenario.strategies ?? {}))
      this.#engine.strategies.set(name, { recover: () => decide(this.#called(name)) });
    for (const [name, handler] of Object.entries(scenario.tasks)) {
      this.#engine.registry.add({
        name,
        queue: 'default',
        source: name,
        options: { ignoreResult: false },
        policies: [],
        invoke: (args, task) => {
          const generation = generationOf(task);
          this.#called(`${name} ${task.id} g${generation}`);
          return handler(args, generation, task);
        },
      });
    }
  }

  /** A world in which the canvas of a scenario has just been published, or has ended for the first time. */
  static async begin(scenario: Scenario): Promise<World> {
    const world = new World(scenario);
    world.#engine.worker.start();
    const { canvas, isStreamed, from = () => true } = scenario;
    if (isStreamed !== true)
      await world.#engine.publish({ ...canvas, options: { ...canvas.options, taskId: CANVAS_ID } });
    while (!from(world.#standing)) {
      const moves = world.moves();
      // Time passes as soon as it may, and what is to happen then goes before the members.
      const move =
        moves.find((one) => one.do === 'step' || (one.do === 'wait' && world.#waits > 0)) ??
        moves.findLast((one) => one.do === 'start') ??
        moves[0];
      if (move === undefined) throw new Error('it does not end');
      await world.make(move);
    }
    world.#hasBegun = true;
    return world;
  }

  /** What can happen now. */
  moves(): Move[] {
    const going = this.#activities.filter((one) => !one.isOver && !one.isResting);
    const step = ({ number }: Activity): Move => ({ do: 'step', activity: number });
    const idle = going.find(isIdle);
    this.isQuiet = false;
    if (idle !== undefined) return [step(idle)];
    const present = going.filter(({ isLost }) => !isLost);
    const moves: Move[] = present.map(step);
    if (this.#losses > 0)
      for (const { number } of present.filter((one) => one.isDifferent && this.#canBeLost(one)))
        moves.push({ do: 'lose', activity: number });
    if (present.filter(({ job }) => job !== undefined).length < WIDTH) {
      for (const queue of this.#services.keys())
        for (const job of this.#store.line(queue))
          if (!this.#hasBegun || this.scenario.untaken?.test(job.id) !== true)
            moves.push({ do: 'start', job: keyOf(job) });
    }
    for (const outside of this.#toCome) {
      const { when = () => true } = this.scenario.meanwhile?.[outside] ?? {};
      if (when(this.#standing)) moves.push({ do: 'begin', outside });
    }
    if (this.#isAbandoned) moves.push({ do: 'let the lease run out' });
    if (dueMsOf(this.#store) !== undefined && (moves.length === 0 || this.#waits > 0))
      moves.push({ do: 'wait' });
    this.isQuiet = moves.length === 0;
    return [...moves, ...going.filter(({ isLost }) => isLost).map(step)];
  }

  async make(move: Move): Promise<void> {
    switch (move.do) {
      case 'start':
        this.#start(move.job);
        break;
      case 'step':
        await this.#step(this.#activities[move.activity]);
        break;
      case 'lose':
        this.#lose(this.#activities[move.activity]);
        break;
      case 'begin':
        this.#beginOutside(move.outside);
        break;
      case 'wait': {
        const dueMs = dueMsOf(this.#store) ?? 0;
        if (this.#waits > 0) this.#waits -= 1;
        this.#clock.moveTo(dueMs);
        if (isForgotten(this.#store, dueMs)) this.forgotten.push(HOLD);
        // Nobody is at it any more who could let it go.
        if (this.#hasNobody && isHeldInVain(this.#store, dueMs)) this.forgotten.push(SENTINEL);
        this.#store.promote(dueMs);
        break;
      }
      case 'let the lease run out':
        this.#isLeaseOver = true;
        await this.#engine.publisher.letGo(CANVAS_ID);
    }
    await settled();
    this.#gates.current = undefined;
    for (const activity of this.#activities) await this.#gates.lookAgain(activity);
    if (this.#gates.circling !== undefined) throw new Error(`${this.#gates.circling} goes round in circles`);
  }

  /** The same for worlds that go on alike. */
  get key(): string {
    return JSON.stringify([
      likenessOfJobs(this.#store, this.#activities),
      inOrder(this.#store.record(CANVAS_ID)?.fields ?? []),
      likenessOfActivities(this.#store, this.#activities),
      inOrder(this.#store.made),
      inOrder(this.calls),
      inOrder(this.outcomes),
      inOrder(this.#toCome),
      [this.#losses, this.#waits, this.#clock.wallMs(), this.#isLeaseOver],
    ]);
  }

  /** The commands between which somebody can be lost. */
  get commands(): ReadonlySet<string> {
    return this.#gates.commands;
  }

  /** How often a job of each id was made. */
  made(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#store.made);
  }

  /** What every handle would read. */
  async state(id = CANVAS_ID): Promise<string> {
    return (await this.#engine.reader.read(id)).state;
  }

  async value(id = CANVAS_ID): Promise<unknown> {
    const snapshot = await this.#engine.reader.read(id);
    return 'value' in snapshot ? snapshot.value : undefined;
  }

  /** What closed the header before its end, and how long after it had been published, or sealed. */
  closing(from?: DeadlineStart): (ClosingRecord & { readonly afterMs: number }) | undefined {
    const json = this.#store.record(CANVAS_ID)?.fields.get(`c:${CANVAS_ID}`);
    if (json === undefined) return undefined;
    const closing = JSON.parse(json) as ClosingRecord;
    const node = this.#node;
    // It was closed before this generation, which has its body alone.
    if (node !== undefined && closing.atMs <= node.timestamp && generationOfJob(node) > 0) return undefined;
    // One that was never sealed fails.
    const isSealed = from === 'seal' && closing.follow !== 'incomplete';
    const beginMs = isSealed ? node?.dispatch?.sealedAt : node?.timestamp;
    return { ...closing, afterMs: closing.atMs - (beginMs ?? Infinity) };
  }

  isRevoked(): Promise<boolean> {
    return this.#engine.ledger.isRevoked(CANVAS_ID);
  }

  /** What is there that has not ended, and members of what has that a redrive set aside: they count for nothing. */
  unfinished(): string[] {
    const left = [...this.#store.unfinished()].map(({ id, place }) => `${id} ${place}`);
    for (const job of this.#store.all())
      if (isOver(job) && job.refill !== undefined)
        for (const key of job.refill.aside.keys()) left.push(`${key} set aside`);
    return left;
  }

  /** Where the canvas is, in the words of docs/protocol.md; undefined before anybody has published it. */
  async phase(): Promise<Phase | undefined> {
    const node = this.#node;
    return node && phaseOf(node, await this.#engine.ledger.readNode(CANVAS_ID));
  }

  async end(): Promise<void> {
    this.#gates.isShut = true;
    // Those who work off no queue have timers of their own, which end with them.
    for (const { job, commands } of this.#activities) {
      if (job !== undefined) continue;
      for (const { fail } of commands.splice(0)) fail(new Error('the world has ended'));
    }
    await this.#engine.worker.stop();
  }

  /** @returns how often by now */
  #called(what: string): number {
    const times = (this.calls.get(what) ?? 0) + 1;
    this.calls.set(what, times);
    // What was called cannot be taken back by being lost.
    if (this.#gates.current !== undefined) this.#gates.current.isDifferent = true;
    return times;
  }

  #canBeLost({ name }: Activity): boolean {
    return this.scenario.loses?.test(name) ?? true;
  }

  get #node(): MemoryJob | undefined {
    return this.#store.job({ queue: CANVAS_QUEUE, id: CANVAS_ID });
  }

  get #standing(): Standing {
    return standingOf(this.#store);
  }

  /** Whether members are being published, and nobody is there who does it. */
  get #isAbandoned(): boolean {
    const dispatch = this.#node?.dispatch;
    if (dispatch === undefined || dispatch.end !== undefined || this.#isLeaseOver) return false;
    if (this.#toCome.size > 0) return false;
    return this.#activities.every(({ job, isLost, isOver: over }) => job !== undefined || isLost || over);
  }

  /** Whether nobody was lost, and nobody is at work who works off no queue. */
  get #hasNobody(): boolean {
    return this.#activities.every(({ job, isLost, isOver: over }) => !isLost && (job !== undefined || over));
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
      ...(this.scenario.steps && { steps: this.scenario.steps }),
    });
    return new Proxy(backend, {
      get: (target, port) => {
        const value = Reflect.get(target, port) as unknown;
        return GATED.has(String(port)) ? this.#gates.port(String(port), value as object) : value;
      },
    });
  }

  #workers(): Workers {
    return {
      loops: [],
      serve: (service) => void this.#services.set(service.queue, service),
      setConcurrency: () => undefined,
      stopFetching: () => undefined,
      idle: async () => true,
      letGo: async () => undefined,
    };
  }

  async #step(activity: Activity | undefined): Promise<void> {
    if (activity === undefined) throw new Error('nobody to go on');
    const before = isIdle(activity) ? this.#stored : undefined;
    const command = activity.commands.shift();
    this.#gates.current = activity;
    command?.happen();
    await settled();
    if (command?.name === REST) return this.#step(activity);
    if (before !== undefined && before !== this.#stored)
      throw new Error(`${activity.name} was lost, and its ${command?.name ?? ''} is heard`);
  }

  /** Everything that is stored. */
  get #stored(): string {
    const fields = inOrder(this.#store.record(CANVAS_ID)?.fields ?? []);
    return JSON.stringify([likenessOfJobs(this.#store, []), fields, inOrder(this.#store.made)]);
  }

  #start(key: string): void {
    const job = [...this.#services.keys()]
      .flatMap((queue) => this.#store.line(queue))
      .find((one) => keyOf(one) === key);
    const service = job && this.#services.get(job.queue);
    if (job === undefined || service === undefined) throw new Error(`${key} cannot be started`);
    const token = this.#store.activate(job);
    const delivery = deliveryOf(job, token, this.#store, this.#gates);
    void this.#begin(job.id, job, async () => {
      const verdict = await service.process(delivery);
      await this.#gates.command(`end by ${verdict.do}`, () => applyVerdict(this.#store, job, token, verdict));
    });
  }

  #beginOutside(name: string): void {
    this.#toCome.delete(name);
    const act = this.scenario.meanwhile?.[name]?.act ?? (() => Promise.resolve());
    const rest = async (): Promise<void> => void (await this.#gates.command(REST, () => undefined));
    this.#begin(name, undefined, () => act(this.#engine, rest)).then(
      () => this.outcomes.set(name, 'done'),
      (error: { reason?: string; code?: string; message: string }) =>
        this.outcomes.set(name, error.reason ?? error.code ?? error.message),
    );
  }

  #begin(name: string, job: MemoryJob | undefined, work: () => Promise<unknown>): Promise<unknown> {
    const activity: Activity = {
      number: this.#activities.length,
      name,
      job,
      heard: [],
      commands: [],
      looks: [],
      isResting: false,
      length: 0,
      isDifferent: true,
      isLost: false,
      isOver: false,
    };
    this.#activities.push(activity);
    this.#gates.current = activity;
    return work().finally(() => (activity.isOver = true));
  }

  #lose(activity: Activity | undefined): void {
    if (activity === undefined) throw new Error('nothing to lose');
    activity.isLost = true;
    this.#losses -= 1;
    // What waits for its children, or has ended, is nobody's any more.
    if (activity.job?.place !== 'active') return;
    activity.job.timesLost += 1;
    this.#store.again(activity.job, 0);
  }
}

/** What it does next does nothing, because it is lost. */
function isIdle({ isLost, isOver: isDone, job, commands: [next] }: Activity): boolean {
  return isLost && !isDone && job !== undefined && next !== undefined && FENCED.test(next.name);
}

/** Everything that needs no command has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
