import { systemClock, type TimerClock } from '../primitives/clock.js';

/** A connection on which Redis says what time it is: in seconds, and the microseconds of this one. */
interface Asked {
  time(): Promise<readonly (number | string)[]>;
}

/** How long an answer of Redis is gone by, before it is asked again. */
const STALE_MS = 60_000;
/** Clocks that differ by less are taken for the same: they are read in whole milliseconds. */
const TICK_MS = 2;
/** By as much the machine's own clock may move against the monotonic one, before that one is doubted: it may have slept. */
const LEAP_MS = 1_000;

/**
 * The time of Redis: what is delayed, expires or has a deadline is due by it, wherever it was published and whoever looks.
 *
 * It is read from Redis now and then. An answer says that Redis had a certain time at some moment between the question and the
 * answer. Where the machine's clock agrees with that, it is right, and in force; elsewhere the time goes on by the clock of
 * this process that nobody can set, and each answer sets it to the nearest moment that agrees. So neither a machine whose
 * clock is wrong nor one whose clock jumps has anything begin too early or too late. Until Redis has answered for the first
 * time, the time is that of the machine.
 */
export class ServerClock implements TimerClock {
  /** What is added to the monotonic clock. */
  #leadMs: number | undefined;
  #isMachineRight = true;
  #askedAt = -Infinity;
  /** What the machine's clock was ahead of the monotonic one by, when it was looked at last. */
  #machineLeadMs = 0;
  #isUnanswerable = false;
  readonly after = systemClock.after.bind(systemClock);

  /** @param refresh asks Redis anew in the background, where that can be done now; ends in `learn` */
  constructor(private readonly refresh: () => void) {}

  /** Whether there is nothing to wait for: Redis has answered, or does not say what time it is. */
  get isSettled(): boolean {
    return this.#leadMs !== undefined || this.#isUnanswerable;
  }

  wallMs(): number {
    const machineMs = Date.now();
    if (this.#leadMs === undefined) return machineMs;
    const now = performance.now();
    const hasLeapt = Math.abs(machineMs - now - this.#machineLeadMs) > LEAP_MS;
    if (hasLeapt) this.#isMachineRight = false;
    if (hasLeapt || now - this.#askedAt > STALE_MS) {
      this.#asksAt(now);
      this.refresh();
    }
    return this.#isMachineRight ? machineMs : Math.floor(now + this.#leadMs);
  }

  /** Whether this is the time of the machine. */
  get isMachines(): boolean {
    return this.#leadMs === undefined || this.#isMachineRight;
  }

  /**
   * What the machine's clock says when this one has reached a time. For who compares with the former: BullMQ would look too
   * early by a machine that is ahead, and forgets then when to look again.
   */
  machineMs(serverMs: number): number {
    if (this.isMachines) return serverMs;
    // Neither clock says where in its millisecond it is.
    return serverMs - this.wallMs() + Date.now() + 1;
  }

  /** Asks on a connection. @throws what stopped the question; a Redis that refuses it leaves the machine's clock in force */
  async ask(client: Asked): Promise<void> {
    const askedAt = performance.now();
    try {
      const [seconds, micros] = await client.time();
      this.learn(askedAt, Number(seconds) * 1_000 + Number(micros) / 1_000);
    } catch (error) {
      // One without the right to ask, who is told so each time.
      if (!(error instanceof Error) || error.name !== 'ReplyError') throw error;
      this.#isUnanswerable = true;
    }
  }

  /** Redis has just answered a question. @param askedAt by the monotonic clock */
  learn(askedAt: number, serverMs: number): void {
    const answeredAt = performance.now();
    this.#asksAt(askedAt);
    const [least, most] = [serverMs - answeredAt, serverMs - askedAt];
    const machine = this.#machineLeadMs;
    this.#isMachineRight = least - TICK_MS <= machine && machine <= most + TICK_MS;
    const before = this.#isMachineRight ? machine : (this.#leadMs ?? (least + most) / 2);
    this.#leadMs = Math.min(Math.max(before, least), most);
  }

  #asksAt(now: number): void {
    this.#askedAt = now;
    this.#machineLeadMs = Date.now() - performance.now();
  }
}
