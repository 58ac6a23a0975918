import type { Delivery } from '../backend/delivery.js';
import type { Ledger } from '../backend/ledger.js';
import type { HostedCall } from '../backend/handler-host.js';
import type { StoredValues } from '../codec/stored-values.js';
import { UnknownTaskError } from '../errors/task.errors.js';
import { Attempt } from '../execution/attempt.js';
import { AttemptLocks } from '../execution/attempt-locks.js';
import type { EngineLog } from '../execution/engine-log.js';
import { outcomesOf } from '../execution/header-outcomes.js';
import type { MemberAddition } from '../execution/member-addition.js';
import { problemOfResult } from '../execution/result-check.js';
import { serializeError } from '../failure/serialize-error.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { Locks } from '../locks/locks.js';
import type { TimerClock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import type { PayloadLimits } from '../options/task-queue-options.js';
import { asInterrupted } from '../task/interruption.js';
import type { TaskReader } from '../results/task-reader.js';
import type { TaskRegistry } from '../task/task-registry.js';
import type { ChildStart, FromChild, ToChild } from './protocol.js';
import { interruptionFromWire } from './wire-interruption.js';
import { toWire } from './wire-thrown.js';

/** An application in a child, after its start. */
export interface ChildApplication {
  readonly registry: TaskRegistry;
  readonly log: EngineLog;
  readonly clock: TimerClock;
  readonly limits: Required<PayloadLimits>;
  readonly values: StoredValues;
  readonly locks: Locks;
  readonly ledger: Ledger;
  readonly members: MemberAddition;
  readonly reader: TaskReader;
  close(): Promise<void>;
}

/** What a child has of its process. */
export interface ChildProcessPort {
  send(message: FromChild): void;
  rssBytes(): number;
  exit(code: number): void;
}

/**
 * What a child does: it bootstraps the application, and runs one handler after the other until it is told to end.
 *
 * It neither fetches, nor locks, nor stores what a task came to: its worker does. What handlers publish goes through
 * the application's own connection.
 */
export class ChildRuntime {
  #app: ChildApplication | undefined;
  #currentTask = true;
  #attempt: Attempt | undefined;
  #notes = 0;
  readonly #ending = new AbortController();
  readonly #unnoted = new Map<number, () => void>();

  constructor(
    private readonly port: ChildProcessPort,
    private readonly bootstrap: (start: ChildStart) => Promise<ChildApplication>,
  ) {}

  hear(message: ToChild): void {
    switch (message.do) {
      case 'start':
        void this.#start(message);
        return;
      case 'run':
        void this.#run(message.call);
        return;
      case 'interrupt':
        this.#attempt?.interrupt(interruptionFromWire(message.why));
        return;
      case 'limit':
        this.#attempt?.changeTimeLimits({ softMs: message.softMs, hardMs: undefined });
        return;
      case 'noted':
        this.#unnoted.get(message.note)?.();
        this.#unnoted.delete(message.note);
        return;
      case 'end':
        void this.#end();
    }
  }

  async #start(start: ChildStart): Promise<void> {
    this.#currentTask = start.currentTask;
    try {
      this.#app = await this.bootstrap(start);
    } catch (error) {
      this.port.send({ say: 'unfit', error: serializeError(error) });
      this.port.exit(1);
      return;
    }
    this.port.send({ say: 'ready', tasks: this.#app.registry.all().map(({ name }) => name) });
  }

  async #end(): Promise<void> {
    this.#ending.abort();
    await this.#app?.close().catch(() => undefined);
    this.port.exit(0);
  }

  async #run(call: HostedCall): Promise<void> {
    const { port } = this;
    try {
      const value = await this.#call(call);
      port.send({ say: 'returned', value, rssBytes: port.rssBytes() });
    } catch (thrown) {
      const named = asInterrupted(thrown, this.#attempt?.interruption);
      port.send({
        say: 'threw',
        thrown: toWire(named, Date.now(), this.#app?.values),
        rssBytes: port.rssBytes(),
      });
    } finally {
      this.#attempt?.close();
      this.#attempt = undefined;
    }
  }

  /** Its worker holds the hard limit, and would hear of nothing that is said after it. */
  async #call(call: HostedCall): Promise<JsonValue> {
    const app = this.#app;
    const definition = app?.registry.get(call.name);
    if (app === undefined || definition === undefined) throw new UnknownTaskError(call.name, call.queue);
    const args = this.#argsOf(call, app);
    // As it came over the channel, JSON has left out what was not set.
    const envelope = { v: 1, args, ...call.envelope } as TaskEnvelope;
    const attempt = new Attempt(deliveryOf(call), definition, envelope, args, {
      storeProgress: (_holder, meta) => this.#progress(meta),
      makeLocks: (delivery, signal, onLost) =>
        new AttemptLocks(app.locks, app.ledger, delivery, signal, onLost),
      members: app.members,
      limits: app.limits,
      values: app.values,
      log: app.log,
      clock: app.clock,
      onExtend: (ms) => this.port.send({ say: 'extend', ms }),
    });
    this.#attempt = attempt;
    const value = (await this.#lead(attempt, call)) ?? null;
    const problem = problemOfResult(call.name, value, app.limits.resultBytes);
    if (problem !== undefined) throw problem;
    return value as JsonValue;
  }

  async #lead(attempt: Attempt, call: HostedCall): Promise<unknown> {
    try {
      return await attempt.runHosted(call, this.#currentTask);
    } finally {
      if (attempt.locks !== undefined) await attempt.locks.release();
    }
  }

  /** The members of a header are read here: they may be too many to come over the channel. */
  #argsOf({ args, header }: HostedCall, app: ChildApplication): readonly JsonValue[] {
    if (header === undefined) return args;
    const { reader, values, log } = app;
    const outcomes = outcomesOf(header, { reader, values, log, stopping: this.#ending.signal });
    return [outcomes as unknown as JsonValue, ...args];
  }

  #progress(meta: JsonValue): Promise<boolean> {
    const note = ++this.#notes;
    this.port.send({ say: 'progress', note, meta });
    return new Promise((resolve) => this.#unnoted.set(note, () => resolve(true)));
  }
}

/** What the attempt needs to know of its delivery, which its worker has. */
function deliveryOf(call: HostedCall): Delivery {
  const { id, name, queue, token, activations, attemptsMade, startedAtMs } = call;
  return {
    id,
    name,
    queue,
    data: undefined,
    token,
    attemptsMade,
    activations,
    startedAtMs,
    timesLost: 0,
    waitForChildren: () => Promise.resolve(false),
  };
}
