import { type Bounds, endure, type Time } from '../../../torture/endurance.js';

const BOUNDS: Bounds = { withinMs: 300_000, stillMs: 30_000, mostMs: 600_000 };

/** What happens at which time, in ms; a clock of its own, that goes on while somebody waits. */
class Course {
  nowMs = 0;
  #settle: () => void = () => undefined;

  constructor(
    private readonly endsAt: number,
    private readonly movesEvery: (ms: number) => number,
    private readonly isStarved: (ms: number) => boolean,
    private readonly trouble?: Error,
  ) {}

  readonly time: Time = {
    now: () => this.nowMs,
    pause: async (ms) => {
      const until = this.nowMs + ms;
      this.nowMs = Math.min(until, Math.max(this.nowMs, this.endsAt));
      if (this.nowMs >= this.endsAt) this.#settle();
      // Who waits for the end hears of it first.
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      this.nowMs = until;
    },
  };

  wait(): Promise<number | undefined> {
    return endure(
      {
        work: () =>
          new Promise((resolve, reject) => {
            this.#settle = () => (this.trouble === undefined ? resolve() : reject(this.trouble));
          }),
        moves: () => this.movesEvery(this.nowMs),
        areAble: async () => !this.isStarved(this.nowMs),
        explain: async () => 'member 1 is stranded',
      },
      BOUNDS,
      this.time,
    );
  }
}

const NEVER = Infinity;
const never = (): boolean => false;
const always = (): boolean => true;
const still = (): number => 0;
const every = (ms: number) => (nowMs: number) => Math.floor(nowMs / ms);

describe('how long the torture suite waits', () => {
  it('has nothing to say of what ends in time', async () => {
    expect(await new Course(299_000, still, never).wait()).toBeUndefined();
  });

  it('calls it wrong when nothing moves although the workers would', async () => {
    const course = new Course(NEVER, still, never);
    await expect(course.wait()).rejects.toThrow(
      /it hangs after 330.0 s.*nothing moved for 30.0 s\nmember 1 is stranded/s,
    );
  });

  it('calls it slow when it ends while it still moves, or when its workers could not', async () => {
    expect(await new Course(450_000, every(20_000), never).wait()).toBeGreaterThanOrEqual(450_000);
    expect(await new Course(550_000, still, always).wait()).toBeGreaterThanOrEqual(550_000);
  });

  it('counts only the time in which the workers were able to go on', async () => {
    const course = new Course(NEVER, still, (ms) => ms < 400_000);
    await expect(course.wait()).rejects.toThrow(
      /it hangs after 430.0 s; its workers were able to go on for 30.0 s/,
    );
  });

  it('calls it wrong after a time, however it moves and whoever is starved', async () => {
    for (const course of [new Course(NEVER, every(1_000), never), new Course(NEVER, still, always)])
      await expect(course.wait()).rejects.toThrow(/no end after 600.0 s/);
  });

  it('says what it fails with, in time or not', async () => {
    const trouble = new Error('unknown');
    for (const endsAt of [1_000, 400_000])
      await expect(new Course(endsAt, still, always, trouble).wait()).rejects.toBe(trouble);
  });

  it('ends what it has begun', async () => {
    let signal: AbortSignal | undefined;
    const work = (its: AbortSignal): Promise<void> => {
      signal = its;
      return Promise.resolve();
    };
    await endure({ work, moves: still, areAble: async () => true, explain: async () => '' }, BOUNDS);
    expect(signal?.aborted).toBe(true);
  });
});
