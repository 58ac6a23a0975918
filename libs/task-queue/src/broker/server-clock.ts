import { systemClock, type TimerClock } from '../primitives/clock.js';

/** A connection on which Redis says what time it is: in seconds, and the microseconds of this one. */
interface Asked {
  time(): Promise<readonly (number | string)[]>;
}

/** How long an answer of Redis is gone by, before it is asked again. Machines' clocks differ by some ms an hour. */
const STALE_MS = 60_000;
/** By as much the machine's own clock may move against the monotonic one, before that one is doubted: it may have slept. */
const LEAP_MS = 1_000;

/**
 * The time of Redis: what is delayed, expires or has a deadline is due by it, wherever it was published and whoever looks.
 *
 * It is read from Redis now and then, and goes on in between by the clock of this process that nobody can set. So neither a
 * machine whose clock is wrong nor one whose clock jumps has anything begin too early or too late. Until Redis has answered
 * for the first time, the time is that of the machine.
 *
 * An answer says that Redis had a certain time at some moment between the question and the answer. Where this clock says
 * that it may have had it, it stays as it is, however long the answer took; elsewhere it is set to the nearest moment.
 */
export class ServerClock implements TimerClock {
  /** What is added to the monotonic clock. */
  #leadMs: number | undefined;
  #askedAt = -Infinity;
  /** What the machine's clock was ahead of the monotonic one by, when Redis was asked last. */
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
    if (this.#leadMs === undefined) return Date.now();
    const now = performance.now();
    if (now - this.#askedAt > STALE_MS || Math.abs(Date.now() - now - this.#machineLeadMs) > LEAP_MS) {
      this.#asksAt(now);
      this.refresh();
    }
    return Math.floor(now + this.#leadMs);
  }

  /** What the machine's clock says when this one says a time. For what compares with the former. */
  machineMs(serverMs: number): number {
    return serverMs - this.wallMs() + Date.now();
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
    this.#leadMs =
      this.#leadMs === undefined ? (least + most) / 2 : Math.min(Math.max(this.#leadMs, least), most);
  }

  #asksAt(now: number): void {
    this.#askedAt = now;
    this.#machineLeadMs = Date.now() - performance.now();
  }
}
