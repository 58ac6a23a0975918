import { inspect } from 'node:util';
import type { EngineLog } from './engine-log.js';
import type { RunningAttempts } from './running-attempts.js';

const EVERY_MS = 250;
/** The same tasks are named at most once in so long. */
const AGAIN_AFTER_MS = 60_000;
const NAMES = 5;

/**
 * Says which task has blocked the event loop, as far as that can be told: those whose handlers ran in this process when
 * it was, among them the one that ended last. Blocked, the worker renews no lock, fetches nothing and tells no signal.
 */
export class BlockWatch {
  readonly #said = new Map<string, number>();
  #tickedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly running: RunningAttempts,
    private readonly limitMs: number,
    private readonly log: EngineLog,
    /** A monotonic clock, in ms. */
    private readonly now: () => number = () => performance.now(),
  ) {}

  start(): void {
    this.#tickedAt = this.now();
    this.#timer ??= setInterval(() => this.tick(), EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Looks how late it is. */
  tick(): void {
    const lateMs = this.now() - this.#tickedAt - EVERY_MS;
    this.#tickedAt = this.now();
    const seen = this.running.sinceLastLook();
    if (lateMs < this.limitMs || seen.length === 0) return;
    const names = [...new Set(seen.map(({ delivery }) => delivery.name))].sort();
    const key = names.join();
    if (this.now() - (this.#said.get(key) ?? -Infinity) < AGAIN_AFTER_MS) return;
    this.#said.set(key, this.now());
    const queues = [...new Set(seen.map(({ delivery }) => delivery.queue))].sort();
    this.log.warn(
      `The event loop was blocked for ${Math.round(lateMs)} ms while ${listed(names)} ran. Nothing else goes on ` +
        `meanwhile, the renewal of locks neither. Give ${queues.length === 1 ? 'the queue' : 'their queues'} ` +
        `${queues.map((queue) => inspect(queue)).join(', ')} a process pool, or split the work.`,
    );
  }
}

function listed(names: readonly string[]): string {
  const [first, ...others] = names;
  if (others.length === 0) return first ?? '';
  const more = names.length - NAMES;
  return `one of ${names.slice(0, NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
