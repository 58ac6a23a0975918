/** Nothing of a canvas is left in Redis when its time is over, whatever happened to it. */
import type { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import { type Bounds, BOUNDS, endure } from './endurance.js';
import { leftOf } from './left-keys.js';

/** So often keys are looked for while others run: they are few, and a look is a page or two. */
const BETWEEN_LOOKS_MS = 10_000;
const BETWEEN_TURNS_MS = 250;

/**
 * Longer than a canvas may stay after its time where a worker lives: janitors go round every 30 s, come back 10 s later where
 * a late member went on, and leave to the next time what stands in the place of a part.
 */
const OVERDUE_MS = 90_000;

/** Who waits for what should have gone is patient: no fault is under way, and a machine may be busy. */
const WAIT: Bounds = { ...BOUNDS, withinMs: 120_000 };

/** Where canvases lie, and whether somebody is there who would remove them. */
export interface Ground {
  readonly redis: () => Redis;
  readonly areAble: () => Promise<boolean>;
}

/** What was found of canvases whose time is over. */
export interface Remains {
  /** Of so many no key is there. */
  readonly gone: number;
  /** What is left of others that should have gone. */
  readonly left: readonly string[];
  /** How long it was waited for them, if that was too long. */
  readonly slowMs?: number;
}

interface Over {
  readonly label: string;
  readonly dueMs: number;
}

/** The canvases of a lane that nobody asks for any more, until their keys have gone: by themselves, by the clock. */
export class Expiry {
  readonly #over = new Map<string, Over>();
  #lookedMs = Date.now();

  /** @param keptMs how long a canvas is kept after its end */
  constructor(
    private readonly ground: Ground,
    private readonly keptMs: number,
    private readonly bounds: Bounds = WAIT,
  ) {}

  /** A canvas has ended, and has been looked at for the last time. @param label what it is called in a report */
  over(id: string, label: string): void {
    this.#over.set(id, { label, dueMs: Date.now() + this.keptMs });
  }

  /** Looks now and then which have gone, and waits for those that should have long ago. To be asked for between faults. */
  async look(): Promise<Remains> {
    const nowMs = Date.now();
    if (nowMs - this.#lookedMs < BETWEEN_LOOKS_MS) return { gone: 0, left: [] };
    this.#lookedMs = nowMs;
    const due = [...this.#over].filter(([, { dueMs }]) => dueMs < nowMs);
    const found = await leftOf(this.ground.redis(), new Set(due.map(([id]) => id)));
    const stay = due.filter(([id]) => found.has(id));
    for (const [id] of due) if (!found.has(id)) this.#over.delete(id);
    const overdue = stay.filter(([, { dueMs }]) => dueMs + OVERDUE_MS < nowMs).map(([id]) => id);
    const { gone, ...rest } = await this.#wait(overdue, 0);
    return { ...rest, gone: gone + due.length - stay.length };
  }

  /** Waits until all of them have gone. */
  end(): Promise<Remains> {
    return this.#wait([...this.#over.keys()], this.keptMs);
  }

  async #wait(ids: readonly string[], longerMs: number): Promise<Remains> {
    if (ids.length === 0) return { gone: 0, left: [] };
    const wanted = new Set(ids);
    const look = (): Promise<Map<string, string[]>> => leftOf(this.ground.redis(), wanted);
    let found = await look();
    const waited = endure(
      {
        work: async (signal) => {
          for (; found.size > 0 && !signal.aborted; found = await look()) await pause(BETWEEN_TURNS_MS);
        },
        moves: () => [...found.values()].flat().length,
        areAble: this.ground.areAble,
        explain: async () => '',
      },
      { ...this.bounds, withinMs: this.bounds.withinMs + longerMs },
    );
    // What is left says it as well.
    const slowMs = await waited.catch(() => undefined);
    const left = [...found].map(([id, keys]) => `${id} (${this.#over.get(id)?.label}): ${keys.join(', ')}`);
    for (const id of ids) this.#over.delete(id);
    return { gone: ids.length - left.length, left, ...(slowMs === undefined ? {} : { slowMs }) };
  }
}
