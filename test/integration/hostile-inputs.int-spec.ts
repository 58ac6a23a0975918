/**
 * Hostile data at every door where data enters, from a seed: it is refused with a typed error or carried intact, nothing
 * is lost, no worker goes down, and `Object.prototype` stays as it was.
 */
import { isDeepStrictEqual } from 'node:util';
import { Injectable, Logger } from '@nestjs/common';
import { InvalidMessageException } from '@nestjs/microservices/errors/invalid-message.exception.js';
import { Queue } from 'bullmq';
import { defer, ignoreElements, lastValueFrom } from 'rxjs';
import {
  type CanvasData,
  type DeadLetter,
  type JsonValue,
  Task,
  TaskContext,
  TaskQueueError,
} from 'nestjs-task-queue';
import { readCallOptions } from '../../libs/task-queue/src/canvas/call-options.js';
import { makeSignature } from '../../libs/task-queue/src/canvas/signature.js';
import { validateCanvas } from '../../libs/task-queue/src/canvas/canvas-validate.js';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';
import { TaskQueueClient, TaskQueueRecord } from '../../libs/task-queue/src/microservice/index.js';
import { readBatch, writeBatches } from '../../libs/task-queue/src/execution/event-batch.js';
import { problemOfResult } from '../../libs/task-queue/src/execution/result-check.js';
import { compileRedaction } from '../../libs/task-queue/src/failure/redaction.js';
import { serializeError } from '../../libs/task-queue/src/failure/serialize-error.js';
import { compileCanvas } from '../../libs/task-queue/src/flow/compile-canvas.js';
import { decodeNode, decodeTask } from '../../libs/task-queue/src/flow/decode-envelope.js';
import { lineOf, parentOf, positionOf, rootOf, shardOf } from '../../libs/task-queue/src/flow/ids.js';
import { resolveOptions } from '../../libs/task-queue/src/options/resolve-options.js';
import { ErrorRegistry } from '../../libs/task-queue/src/results/error-registry.js';
import {
  isTaskEventType,
  TASK_EVENT_TYPES,
  type TaskEvent,
} from '../../libs/task-queue/src/task/task-event.js';
import { Hostile } from '../support/hostile.js';
import { startMemoryApp } from '../support/memory-app.js';
import { redisUrl, until, useApps } from '../support/app-fixture.js';

const SEED = Number(process.env['HOSTILE_SEED'] ?? 20_260_101);
const INPUTS = 10_000;

const prototypes = [Object.prototype, Array.prototype, Function.prototype, Error.prototype];
const keysOf = (): string[] =>
  prototypes.map((prototype) => Reflect.ownKeys(prototype).map(String).sort().join());

let before: string[];
beforeAll(() => void (before = keysOf()));
afterEach(() => expect(keysOf()).toEqual(before));

/** What a door did with an input: what it threw, where that is an error of ours. Anything else fails the test. */
function attempt<T>(
  seed: number,
  work: () => T,
): { readonly value: T } | { readonly refused: TaskQueueError } {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof TaskQueueError) return { refused: error };
    throw new Error(`seed ${seed}: not a typed error`, { cause: error });
  }
}

/** Tries a door with so many inputs, and says how many it took and how many it refused. */
function tryDoor(
  name: string,
  inputs: number,
  door: (hostile: Hostile, seed: number) => { readonly value: unknown } | { readonly refused: unknown },
): { taken: number; refused: number } {
  const offset = Buffer.from(name).reduce((sum, byte) => sum * 31 + byte, 7) % 1_000_000;
  const count = { taken: 0, refused: 0 };
  for (let at = 0; at < inputs; at++) {
    const seed = SEED + offset + at;
    if ('refused' in door(new Hostile(seed), seed)) count.refused++;
    else count.taken++;
  }
  expect(count.taken + count.refused).toBe(inputs);
  return count;
}

/** JSON is what travels: whatever is taken must come back as it went in. */
function expectIntact(seed: number, value: unknown): void {
  const json = JSON.stringify(value);
  const back: unknown = JSON.parse(json);
  if (JSON.stringify(back) !== json) throw new Error(`seed ${seed}: not carried intact`);
}

describe('hostile data', () => {
  it('as arguments of a call', () => {
    const { taken, refused } = tryDoor('arguments', INPUTS, (hostile, seed) => {
      const args = [hostile.value(), hostile.value()];
      const result = attempt(seed, () => {
        const call = makeSignature('task', args);
        validateCanvas(call);
        return call;
      });
      if ('value' in result) expectIntact(seed, result.value.args);
      return result;
    });
    expect(Math.min(taken, refused)).toBeGreaterThan(INPUTS / 20);
  });

  it('as what a task returns', () => {
    const { taken, refused } = tryDoor('results', INPUTS, (hostile, seed) => {
      const value = hostile.value();
      const { value: problem } = attempt(seed, () => problemOfResult('task', value, 4_194_304)) as {
        value: TaskQueueError | undefined;
      };
      if (problem !== undefined) return { refused: problem };
      expectIntact(seed, value);
      return { value };
    });
    expect(Math.min(taken, refused)).toBeGreaterThan(INPUTS / 20);
  });

  it('as what a task throws, and as an error that was stored', () => {
    const errors = new ErrorRegistry();
    const redact = compileRedaction();
    tryDoor('thrown', INPUTS, (hostile, seed) => {
      const stored = serializeError(hostile.thrown());
      expectIntact(seed, stored);
      if (JSON.stringify(stored).length > 600_000) throw new Error(`seed ${seed}: a record without a bound`);
      if (typeof stored.name !== 'string' || typeof stored.message !== 'string')
        throw new Error(`seed ${seed}`);
      const revived = errors.revive(JSON.parse(JSON.stringify(redact('error', stored))) as typeof stored);
      if (!(revived instanceof Error)) throw new Error(`seed ${seed}: no error`);
      return { value: revived };
    });
  });

  it('as a canvas from plain data', () => {
    const context = {
      queueOf: () => 'default',
      priorityOf: () => undefined,
      recovery: 'ErrbackOnly',
      nowMs: 0,
    };
    const { taken, refused } = tryDoor('canvas', INPUTS, (hostile, seed) => {
      const data = hostile.canvas();
      return attempt(seed, () => {
        validateCanvas(data, { argumentBytes: 1e6, canvasBytes: 1e6 });
        return compileCanvas(data as CanvasData, '0~canvas', context as never);
      });
    });
    expect(Math.min(taken, refused)).toBeGreaterThan(INPUTS / 50);
  });

  it('as the data of a job', () => {
    const { refused } = tryDoor('envelopes', INPUTS, (hostile, seed) => {
      const data = hostile.envelope();
      const node = attempt(seed, () => decodeNode(data));
      const task = attempt(seed, () => decodeTask(data));
      for (const one of [node, task]) {
        if ('refused' in one) expect(one.refused.code).toBe('UNDECODABLE_PAYLOAD');
      }
      return 'value' in task ? task : node;
    });
    expect(refused).toBeGreaterThan(INPUTS / 20);
  });

  it('as ids', () => {
    tryDoor('ids', INPUTS, (hostile, seed) => {
      const id = hostile.id();
      return attempt(seed, () => {
        const shard = shardOf(id, 16);
        if (!(shard >= 0 && shard < 16)) throw new Error(`shard ${shard}`);
        const root = rootOf(id);
        if (!id.startsWith(root)) throw new Error(`root ${root}`);
        positionOf(id);
        parentOf(id);
        return lineOf(id);
      });
    });
  });

  it('as options of the module and of a call', () => {
    const module = [
      'connection',
      'role',
      'prefix',
      'shards',
      'queues',
      'defaults',
      'chord',
      'publishTimeout',
    ];
    module.push('limits', 'errors', 'worker', 'redact', 'logging', 'deadLetters', 'name', '__proto__');
    const call = ['countdown', 'eta', 'expires', 'queue', 'priority', 'taskId', 'timeLimit', 'softTimeLimit'];
    call.push('maxRetries', 'ignoreResult', 'headers', 'idempotencyKey', '__proto__', 'constructor');
    const count = tryDoor('options', INPUTS, (hostile, seed) => {
      const isModule = hostile.chance(0.5);
      const key = hostile.pick(isModule ? module : call);
      const options = Object.defineProperty({}, key, { value: hostile.json(), enumerable: true }) as object;
      return attempt(seed, () =>
        isModule
          ? resolveOptions({ connection: { url: 'redis://localhost' }, ...options })
          : readCallOptions(options),
      );
    });
    expect(count.refused).toBeGreaterThan(INPUTS / 2);
  });

  it('as messages of a microservice', async () => {
    const app = await startMemoryApp([]);
    const engine = app.module.get(TaskQueueEngine);
    const client = new TaskQueueClient({}, () => engine);
    const warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
    const publish = jest.spyOn(engine.publisher, 'publish');
    const publishOnce = jest.spyOn(engine.publisher, 'publishOnce');
    const offset = 7_000_000;
    let [taken, refused] = [0, 0];
    try {
      for (let seed = SEED + offset; seed < SEED + offset + INPUTS; seed++) {
        const { pattern, data, options } = new Hostile(seed).packet();
        const message = options === undefined ? data : new TaskQueueRecord(data, options);
        publish.mockClear();
        publishOnce.mockClear();
        const error: unknown = await lastValueFrom(
          defer(() => client.emit(pattern, message)).pipe(ignoreElements()),
          { defaultValue: undefined },
        ).catch((thrown: unknown) => thrown);
        const [plan] = publish.mock.calls[0] ?? publishOnce.mock.calls[0] ?? [];
        if (error === undefined) {
          if (plan === undefined) throw new Error(`seed ${seed}: neither published nor refused`);
          expectIntact(seed, plan.job.data);
          taken++;
        } else if (error instanceof TaskQueueError || error instanceof InvalidMessageException) {
          refused++;
        } else {
          throw new Error(`seed ${seed}: not a typed error`, { cause: error });
        }
      }
    } finally {
      warn.mockRestore();
      await client.close();
      await app.close();
    }
    expect(taken + refused).toBe(INPUTS);
    expect(Math.min(taken, refused)).toBeGreaterThan(INPUTS / 20);
  }, 120_000);

  it('as arguments of a dead letter that is run again', async () => {
    const app = await startMemoryApp([]);
    const { failures } = app.module.get(TaskQueueEngine).backend;
    const letters: DeadLetter[] = (['map', undefined] as const).map((each, at) => ({
      id: `0~letter${at}`,
      failure: {
        request: {
          id: `0~letter${at}`,
          name: 'echo',
          args: [],
          queue: 'default',
          attempt: 1,
          workflowId: `0~letter${at}`,
          position: '',
        },
        error: { name: 'Error', message: 'x' },
        reason: 'error',
        at: new Date(0).toISOString(),
      },
      attempts: [],
      payload: { v: 1, args: [[1]], ...(each === undefined ? {} : { each }) },
    }));
    jest.spyOn(failures, 'read').mockImplementation(async (id) => letters.find((letter) => letter.id === id));
    const publishOnce = jest.spyOn(app.module.get(TaskQueueEngine).publisher, 'publishOnce');
    let [taken, refused] = [0, 0];
    try {
      for (let seed = SEED + 8_000_000; seed < SEED + 8_000_000 + INPUTS; seed++) {
        const hostile = new Hostile(seed);
        const args = hostile.chance(0.7) ? [hostile.value()] : hostile.value();
        publishOnce.mockClear();
        const error: unknown = await app.workflows.deadLetters
          .retry(hostile.pick(['0~letter0', '0~letter1']), { args: args as unknown[] })
          .then(() => undefined)
          .catch((thrown: unknown) => thrown);
        if (error === undefined) {
          const [[plan] = []] = publishOnce.mock.calls;
          expectIntact(seed, plan?.job.data);
          taken++;
        } else if (error instanceof TaskQueueError) {
          refused++;
        } else {
          throw new Error(`seed ${seed}: not a typed error`, { cause: error });
        }
      }
    } finally {
      await app.close();
    }
    expect(taken + refused).toBe(INPUTS);
    expect(Math.min(taken, refused)).toBeGreaterThan(INPUTS / 20);
  }, 120_000);

  it('as events from a channel, and as what is to be hidden in them', () => {
    const redactions = [compileRedaction(), compileRedaction(['args[0].x', '__proto__', 'constructor'])];
    tryDoor('events', INPUTS, (hostile, seed) => {
      const json = hostile.json();
      const forged = hostile.pick([
        () => hostile.text(),
        () => JSON.stringify(json),
        () =>
          JSON.stringify({
            v: 1,
            lost: hostile.json(),
            events: [json, { type: hostile.pick(TASK_EVENT_TYPES) }],
          }),
      ])();
      const { events, lost } = readBatch(forged ?? '');
      if (!events.every(({ type }) => isTaskEventType(type)) || !(lost >= 0)) throw new Error(`seed ${seed}`);
      const about = { id: 'i', name: 'n', queue: 'q', workflowId: 'i', position: '', at: 'now' };
      const event = { type: 'progress', ...about, attempt: 1, retries: 0, progress: json } as TaskEvent;
      const [batch] = writeBatches([event], 0);
      const read = readBatch(batch?.text ?? '').events[0];
      if (read !== undefined && JSON.stringify(read) !== JSON.stringify(event))
        throw new Error(`seed ${seed}`);
      for (const redact of redactions) expectIntact(seed, redact('progress', json));
      return { value: read };
    });
  });
});

@Injectable()
class Open {
  @Task({ name: 'echo' })
  async echo(value: JsonValue, task: TaskContext): Promise<JsonValue> {
    await task.progress({ at: value });
    return value;
  }

  @Task({ name: 'throws' })
  throws(seed: number): never {
    throw new Hostile(seed).thrown();
  }

  @Task({ name: 'returns' })
  returns(seed: number): unknown {
    return new Hostile(seed).value();
  }
}

describe('hostile data in a running application', () => {
  const fixture = useApps();
  const MANY = 300;

  it('comes to an end of its own, whatever it is, and the next task runs', async () => {
    const app = await fixture.boot({ providers: [Open] });
    const { workflows, prefix } = app;
    const shard = { connection: { url: redisUrl() }, prefix: `{${prefix}:0}` };
    const raw = { default: new Queue('default', shard), _canvas: new Queue('_canvas', shard) };
    try {
      // Arguments, headers, progress and results, there and back.
      const echoed = await Promise.all(
        Array.from({ length: MANY }, async (_, at) => {
          const value = new Hostile(SEED + at).json();
          const call = workflows.signature<JsonValue>('echo', [value]);
          const handle = await call.applyAsync([], { headers: { hostile: new Hostile(SEED + at).json(3) } });
          return { at, value, got: await handle.get(), progress: await handle.progress() };
        }),
      );
      for (const { at, value, got, progress } of echoed) {
        const same = JSON.parse(JSON.stringify(value)) as unknown;
        if (!isDeepStrictEqual(got, same) || !isDeepStrictEqual(progress, { at: same }))
          throw new Error(
            `seed ${SEED + at}: not carried intact: ${isDeepStrictEqual(got, same)} ${JSON.stringify(value).slice(0, 600)}`,
          );
      }

      // What handlers throw and return.
      const ended = await Promise.all(
        Array.from({ length: MANY }, async (_, at) => {
          const task = at % 2 === 0 ? 'throws' : 'returns';
          const handle = await workflows.signature(task, [SEED + at]).applyAsync([]);
          await handle.get({ propagate: false });
          return handle.state();
        }),
      );
      expect(ended.filter((state) => state !== 'SUCCESS' && state !== 'FAILURE')).toEqual([]);
      expect(ended).toContain('SUCCESS');

      // Jobs that others put there: forged, of foreign kinds, with ids that point elsewhere.
      await Promise.all(
        Array.from({ length: MANY }, async (_, at) => {
          const hostile = new Hostile(SEED + at);
          const queue = hostile.chance(0.7) ? raw.default : raw._canvas;
          const name = hostile.pick(['echo', 'throws', 'nobody', 'chord', '__proto__']);
          await queue.add(name, hostile.envelope(), { jobId: `forged-${at}` });
        }),
      );
      const unfinished = async (): Promise<number> => {
        const counts = await Promise.all(
          Object.values(raw).map((queue) => queue.getJobCounts('wait', 'active', 'delayed', 'prioritized')),
        );
        return counts.flatMap((count) => Object.values(count)).reduce((sum, one) => sum + one, 0);
      };
      await until(
        async () => (await unfinished()) === 0,
        'every forged job has come to its end',
        20_000,
      ).catch(async (error: unknown) => {
        const left = await Promise.all(
          Object.values(raw).map((queue) => queue.getJobs(['wait', 'active', 'delayed'])),
        );
        throw new Error(
          `${String(error)}: ${left
            .flat()
            .map((job) => `${job.queueName} ${job.name} ${JSON.stringify(job.data).slice(0, 300)}`)
            .join('\n')}`,
        );
      });
      expect(
        await workflows
          .signature('echo', ['still here'])
          .applyAsync([])
          .then((handle) => handle.get()),
      ).toBe('still here');
      expect(app.log.matching(/a defect of nestjs-task-queue/)).toEqual([]);
    } finally {
      await Promise.all(Object.values(raw).map((queue) => queue.close()));
    }
  }, 120_000);

  it('a forged note of a replacement ends its own task, and shows nothing of others', async () => {
    const app = await fixture.boot({ providers: [Open] });
    const { workflows, prefix } = app;
    const raw = new Queue('default', { connection: { url: redisUrl() }, prefix: `{${prefix}:0}` });
    try {
      const other = await workflows.signature('echo', ['of somebody else']).applyAsync([]);
      await other.get();
      const by = { queue: 'default', id: other.id };
      const notes: JsonValue[] = [
        { state: 'added', by },
        { state: 'added', by: { queue: 'default', id: 'nobody' } },
        { state: 'adding', by },
        { state: 'adding', by, canvas: { kind: 'nothing' } },
        { state: 'adding', by, canvas: { kind: 'chain', steps: [] } },
        { state: '__proto__', by },
        { state: 'added', by: { queue: 'default' } },
        'added',
      ];
      for (const [at, replaced] of notes.entries()) {
        await raw.add('echo', { v: 1, args: ['its own'], replaced }, { jobId: `0~note${at}` });
        const error = await workflows.result(`0~note${at}`).get({ propagate: false, timeout: '60s' });
        expect({ at, error }).toMatchObject({ error: { name: expect.stringMatching(/Error$/) as string } });
      }
      expect(await other.get()).toBe('of somebody else');
      const next = await workflows.signature('echo', ['still here']).applyAsync([]);
      expect(await next.get()).toBe('still here');
      expect(app.log.matching(/a defect of nestjs-task-queue/)).toEqual([]);
    } finally {
      await raw.close();
    }
  }, 120_000);
});
