import type { Delivery } from '../backend/delivery.js';
import type { TimerClock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import type { InterruptionCause } from '../task/interruption.js';
import type { TaskStuck } from '../task/task-definition.js';
import type { EngineLog } from './engine-log.js';
import type { HookRunner } from './hook-runner.js';

/** An attempt that is over while its handler still runs. */
export interface AbandonedHandler {
  readonly delivery: Delivery;
  readonly args: readonly JsonValue[];
  readonly headers: TaskStuck['headers'] | undefined;
  readonly cause: InterruptionCause;
  /** Settles when the handler has ended after all. */
  readonly handler: Promise<unknown>;
}

/**
 * Handlers of this process that were told to end and do not. Nothing here can stop one: it keeps whatever it holds, and
 * may run beside the next attempt of its task. So it is said, once, and counted for as long as it lasts.
 */
export class StuckHandlers {
  readonly #stuck = new Set<AbandonedHandler>();
  readonly #timers = new Set<() => void>();

  constructor(
    private readonly hooks: HookRunner,
    private readonly afterMs: number,
    private readonly clock: TimerClock,
    private readonly log: EngineLog,
  ) {}

  /** How many there are now. */
  get size(): number {
    return this.#stuck.size;
  }

  /** Has an eye on a handler whose attempt is over. */
  watch(abandoned: AbandonedHandler): void {
    const { name, id } = abandoned.delivery;
    const callOff = this.clock.after(this.afterMs, () => {
      this.#timers.delete(callOff);
      this.#report(abandoned);
    });
    this.#timers.add(callOff);
    const ended = (): void => {
      callOff();
      this.#timers.delete(callOff);
      if (this.#stuck.delete(abandoned))
        this.log.warn(`${name} ${id}: the stuck handler has ended after all`);
    };
    abandoned.handler.then(ended, ended);
  }

  /** Looks no further. */
  close(): void {
    for (const callOff of this.#timers) callOff();
    this.#timers.clear();
  }

  #report(abandoned: AbandonedHandler): void {
    const { delivery, args, headers, cause } = abandoned;
    const { id, name, queue, activations: attempt } = delivery;
    this.#stuck.add(abandoned);
    this.log.error(
      `${name} ${id} attempt ${attempt} is stuck: its handler was told to end (${cause}) and still runs after ` +
        `${this.afterMs} ms. Pass task.signal to what it waits for, or give queue "${queue}" a process pool, which can ` +
        `end a handler by force.`,
    );
    const stuck: TaskStuck = {
      id,
      name,
      args,
      queue,
      attempt,
      cause,
      forMs: this.afterMs,
      ...(headers === undefined ? {} : { headers }),
    };
    void this.hooks.callNow(name, 'stuck', stuck);
  }
}
