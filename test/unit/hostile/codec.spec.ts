/**
 * Hostile data, from a seed, in an application with a codec: what a task is given, tells, returns and throws is refused by
 * name or carried intact; what was forged ends its own task at most. Nothing is lost, and the next task runs.
 */
import { isDeepStrictEqual } from 'node:util';
import { Injectable } from '@nestjs/common';
import { deserialize, serialize } from 'superjson';
import { type CodecRoles, Task, type TaskCodec, TaskContext, TaskQueueError } from 'nestjs-task-queue';
import { forgedValue, Hostile } from '../../support/hostile.js';
import { type MemoryApp, startMemoryApp } from '../../support/memory-app.js';
import { tagged } from '../../support/tagged-codec.js';
import { HOSTILE_SEED, watchPrototypes } from './prototypes.js';

const superjson: TaskCodec = { id: 'superjson', encode: serialize, decode: deserialize };
/** A part of ten thousand inputs, which has an application of its own. */
const PART = 1_000;
/** superjson takes its time for what is deep. */
const SLOW = 300;
const REFUSALS = [
  'UNSERIALIZABLE_ARGUMENT',
  'UNSERIALIZABLE_RESULT',
  'UNDECODABLE_PAYLOAD',
  'INVALID_CANVAS',
];
REFUSALS.push('INVALID_OPTIONS', 'ARGUMENT_TOO_LARGE', 'RESULT_TOO_LARGE');
const CODECS = ['tagged-1', 'superjson'];

@Injectable()
class Doors {
  calls = 0;
  /** What the last handler was given. */
  got: unknown;

  @Task({ name: 'echo' })
  async echo(value: unknown, task: TaskContext): Promise<unknown> {
    this.calls++;
    this.got = value;
    await task.progress(value);
    return value;
  }

  @Task({ name: 'returns' })
  returns(seed: number): unknown {
    this.calls++;
    return new Hostile(seed).value();
  }

  @Task({ name: 'throws' })
  throws(seed: number): never {
    this.calls++;
    throw new Told(new Hostile(seed).value());
  }

  @Task({ name: 'forges' })
  forges(seed: number): unknown {
    this.calls++;
    return forgedValue(new Hostile(seed), CODECS);
  }
}

class Told extends Error {
  constructor(readonly data: unknown) {
    super('told');
  }
}

/** What a call came to. */
type End =
  | { readonly is: 'returned'; readonly value: unknown }
  | { readonly is: 'refused'; readonly error: TaskQueueError }
  | { readonly is: 'threw'; readonly error: Told };

describe('hostile data in an application with a codec', () => {
  watchPrototypes();
  let app: MemoryApp;
  afterEach(() => app.close());

  const start = async (codec: TaskCodec | CodecRoles): Promise<void> => {
    app = await startMemoryApp([Doors], { codec, errors: [Told], redact: false, maxSteps: 1_000_000 });
  };

  /** Runs a call to its end, which is a value, an error of ours or the task's own. */
  async function end(task: string, ...args: unknown[]): Promise<End> {
    try {
      const handle = await app.workflows.signature<unknown>(task, args).applyAsync([]);
      return { is: 'returned', value: await handle.get({ timeout: '60s' }) };
    } catch (error) {
      if (error instanceof Told) return { is: 'threw', error };
      if (error instanceof TaskQueueError && REFUSALS.includes(error.code)) return { is: 'refused', error };
      throw error;
    }
  }

  /** Tries so many seeds, and counts how they ended: each has an end, and the next call runs. */
  async function tryAll(
    seeds: number,
    from: number,
    door: (seed: number) => Promise<End>,
  ): Promise<Record<End['is'], number>> {
    const count = { returned: 0, refused: 0, threw: 0 };
    for (let seed = from; seed < from + seeds; seed++) {
      try {
        count[(await door(seed)).is]++;
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
    expect(count.returned + count.refused + count.threw).toBe(seeds);
    expect(await end('echo', 'still here')).toEqual({ is: 'returned', value: 'still here' });
    expect(app.queue.idle).toBe(true);
    return count;
  }

  const intact = (value: unknown, given: unknown): void => {
    // A task that returns nothing comes to null.
    if (!isDeepStrictEqual(value, given ?? null)) throw new Error('not carried intact');
  };

  async function echo(seed: number): Promise<End> {
    const value = new Hostile(seed).value();
    const doors = app.module.get(Doors);
    const before = doors.calls;
    const result = await end('echo', value);
    if (result.is === 'returned') {
      intact(result.value, value);
      intact(doors.got ?? null, value);
    }
    if (result.is === 'refused') expect(doors.calls).toBe(before); // refused where it was published
    return result;
  }

  async function returns(seed: number): Promise<End> {
    const result = await end('returns', seed);
    if (result.is === 'returned') intact(result.value, new Hostile(seed).value());
    return result;
  }

  async function throws(seed: number): Promise<End> {
    const result = await end('throws', seed);
    expect(result.is).toBe('threw');
    // What cannot be written is left out, and the rest of the failure is told.
    if (result.is === 'threw' && Object.hasOwn(result.error, 'data'))
      intact(result.error.data ?? null, new Hostile(seed).value());
    return result;
  }

  it.each([
    ['given', 'tagged', tagged, echo, [0, 1, 2, 3, 4]],
    ['returned', 'tagged', tagged, returns, [5]],
    ['thrown', 'tagged', tagged, throws, [6]],
  ] as const)(
    'that a task has %s, by the codec %s: refused by name, or intact',
    async (_how, _name, codec, door, parts) => {
      for (const part of parts) {
        await start(codec);
        const { returned, refused, threw } = await tryAll(PART, HOSTILE_SEED + part * PART, door);
        expect(app.module.get(Doors).calls).toBeLessThanOrEqual(PART + 1);
        if (threw === 0) expect(Math.min(returned, refused)).toBeGreaterThan(PART / 20);
        if (part !== parts.at(-1)) await app.close();
      }
    },
    600_000,
  );

  it('that superjson writes: refused by name, or read again', async () => {
    await start(superjson);
    const door = (seed: number) => {
      const task = new Hostile(seed).pick(['echo', 'echo', 'returns', 'throws']);
      return end(task, task === 'echo' ? new Hostile(seed).value() : seed);
    };
    const { returned } = await tryAll(SLOW, HOSTILE_SEED, door);
    expect(returned).toBeGreaterThan(SLOW / 20);
  }, 600_000);

  it.each([
    ['arguments', (seed: number) => end('echo', forgedValue(new Hostile(seed), CODECS))],
    ['results', (seed: number) => end('forges', seed)],
  ])(
    'that was forged, as %s: read by a strict codec or refused, and ends its own task at most',
    async (_where, door) => {
      await start({ read: [tagged, superjson] });
      const { returned, refused } = await tryAll(1.5 * PART, HOSTILE_SEED, door);
      expect(Math.min(returned, refused)).toBeGreaterThan(PART / 20);
    },
    600_000,
  );
});
