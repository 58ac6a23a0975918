/**
 * Codecs between applications: while one is brought in or replaced, where an application has another one, across the wire
 * of a process pool and the client of a microservice. What a codec does inside of one application: test/conformance.
 */
import { Controller, Injectable } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import {
  OnFailure,
  Task,
  type TaskCodec,
  type TaskFailure,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  UndecodablePayloadError,
} from 'nestjs-task-queue';
import { TaskQueueClient, TaskQueueMicroserviceModule } from 'nestjs-task-queue/microservice';
import { redisPlatform } from '../../libs/task-queue/src/broker/redis-backend.js';
import { processPools } from '../../libs/task-queue/src/nest/process-pools.js';
import { onPlatform } from '../../libs/task-queue/src/nest/task-queue.module.js';
import { redisUrl, Runs, type TestApp, uniquePrefix, useApps } from '../support/app-fixture.js';
import { built } from '../support/pool-app.js';
import { Overdue, RichTasks, superjson } from '../support/workers/rich-tasks.js';

const fixture = useApps();
const WITHIN = { timeout: '60s' } as const;

/** Dates as numbers: another codec, which knows nothing of the first. */
const numbers: TaskCodec = {
  id: 'numbers-1',
  encode: (value) => (value instanceof Date ? { date: value.getTime() } : { json: value }),
  decode: (encoded) => {
    const { date, json } = encoded as { date?: number; json?: unknown };
    return date === undefined ? json : new Date(date);
  },
};

@Injectable()
class Ledger {
  constructor(private readonly runs: Runs) {}

  @Task({ name: 'day' })
  day(at: Date): Date {
    this.runs.record('day', at);
    return at;
  }

  @Task({ name: 'days' })
  days(all: unknown): unknown {
    return all;
  }

  @OnFailure('day')
  onFailure({ request, error }: TaskFailure): void {
    this.runs.record('hook', { args: request.args, code: error.code });
  }
}

const AT = new Date(Date.UTC(2026, 2, 4));

/** An application of a prefix, with a codec or without. */
function boot(
  prefix: string,
  codec: TaskQueueModuleOptions['codec'],
  role: TaskQueueModuleOptions['role'] = 'both',
): Promise<TestApp> {
  const options = { role, ...(codec === undefined ? {} : { codec }) };
  return fixture.boot({ prefix, options, providers: role === 'producer' ? [] : [Ledger] });
}

describe('a codec', () => {
  it('is named in what it has written: a worker that has none, or another one, loses nothing', async () => {
    const prefix = uniquePrefix('codec');
    const producer = await boot(prefix, superjson, 'producer');
    const found: unknown[] = [];
    for (const codec of [undefined, numbers]) {
      const worker = await boot(prefix, codec, 'worker');
      const handle = await producer.workflows.signature<Date>('day', [AT]).applyAsync([]);
      const error = await handle.get({ ...WITHIN, propagate: false });
      expect(error).toBeInstanceOf(UndecodablePayloadError);
      await worker.runs.reached('hook');
      const [hook] = worker.runs.of<{ args: unknown[]; code: string }>('hook');
      expect(hook).toMatchObject({ code: 'UNDECODABLE_PAYLOAD', args: [{ $codec: 'superjson' }] });
      found.push(String(error));
      await worker.close();
      // With the codec it is run again from its dead letter, whole.
      const mended = await boot(prefix, superjson, 'worker');
      const again = await producer.workflows.deadLetters.retry<Date>(handle.id);
      expect(await again.get(WITHIN)).toEqual(AT);
      expect(mended.runs.of('day')).toEqual([AT]);
      await mended.close();
    }
    expect(found[0]).toContain('written by the codec "superjson", and this application has no codec');
    expect(found[1]).toContain('and this application reads "numbers-1". Add it to codec.read.');
  }, 120_000);

  it('stands beside values that were stored before it was brought in, and that another one has written', async () => {
    const prefix = uniquePrefix('codec');
    const before = await boot(prefix, undefined, 'producer');
    const plain = await before.workflows.signature('days', [{ at: AT.toJSON() }]).applyAsync([]);
    const old = await boot(prefix, numbers, 'producer');
    const numbered = await old.workflows.signature<Date>('day', [AT]).applyAsync([]);
    // Those that come next read both, and write the new one.
    const after = await boot(prefix, { write: superjson, read: [numbers] });
    expect(await plain.get(WITHIN).catch((error: unknown) => error)).toBeInstanceOf(UndecodablePayloadError);
    expect(await after.workflows.result(plain.id).get(WITHIN)).toEqual({ at: AT.toJSON() });
    expect(await after.workflows.result(numbered.id).get(WITHIN)).toEqual(AT);
    // The first step of bringing one in: all applications read it before any of them writes it.
    const reader = await boot(prefix, { read: [superjson] }, 'producer');
    expect(await reader.workflows.result(numbered.id).get(WITHIN)).toEqual(AT);
    const json = await reader.workflows.signature('days', [{ plain: true }]).applyAsync([]);
    await json.get(WITHIN);
    const data = await fixture.redis.hget(`{${prefix}:0}:default:${json.id}`, 'data');
    expect(JSON.parse(data ?? '')).toEqual({ v: 1, args: [{ plain: true }] });
  }, 120_000);

  it('costs nothing where there is none', async () => {
    const app = await boot(uniquePrefix('codec'), undefined);
    const handle = await app.workflows.signature('days', [[1, 'a', { b: null }]]).applyAsync([]);
    await handle.get(WITHIN);
    const job = await fixture.redis.hgetall(`{${app.prefix}:0}:default:${handle.id}`);
    expect(job.data).toBe('{"v":1,"args":[[1,"a",{"b":null}]]}');
    expect(job.returnvalue).toBe('[1,"a",{"b":null}]');
  }, 120_000);

  it('whose text is forged ends that task alone', async () => {
    const app = await boot(uniquePrefix('codec'), superjson);
    const forged = [
      { $codec: 'superjson', $value: { json: {}, meta: { values: { '__proto__.polluted': ['Date'] } } } },
      { $codec: 'superjson', $value: null },
      { $codec: 'nobody', $value: 1 },
    ];
    const plain = await fixture.boot({ prefix: app.prefix, options: { role: 'producer' } });
    for (const value of forged) {
      const handle = await plain.workflows.signature('days', [value]).applyAsync([]);
      await expect(handle.get(WITHIN)).rejects.toMatchObject({ code: 'UNDECODABLE_PAYLOAD' });
      expect(await app.workflows.deadLetters.get(handle.id)).toBeDefined();
    }
    const own = await app.workflows.signature('days', [forged]).applyAsync([]);
    expect(await own.get(WITHIN)).toEqual(forged);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  }, 120_000);

  it('hides secrets by the names and paths of its user, and writes the rest', async () => {
    const prefix = uniquePrefix('codec');
    const options = { codec: superjson, redact: ['password', 'args[0].card.number'] };
    @Injectable()
    class Refusing {
      @Task({ name: 'pay' })
      pay(): never {
        throw Object.assign(new Error('no'), { password: 'hunter2', at: AT });
      }
    }
    const app = await fixture.boot({ prefix, options, providers: [Refusing] });
    const cycle: { at: Date; self?: unknown; also?: unknown } = { at: AT };
    cycle.self = cycle;
    cycle.also = cycle;
    const card = { card: { number: '4111', until: AT }, password: 'hunter2' };
    const handle = await app.workflows.signature('pay', [card, cycle]).applyAsync([]);
    await handle.get({ ...WITHIN, propagate: false });
    const { request, error } = (await handle.failure()) ?? {};
    expect(request?.args).toEqual([
      { card: { number: '[redacted]', until: AT }, password: '[redacted]' },
      '[redacted]',
    ]);
    expect(error?.data).toEqual({ password: '[redacted]', at: AT });
    const records = await Promise.all((await fixture.keys(prefix)).map((key) => dumpOf(key)));
    expect(records.some((record) => record.includes('hunter2'))).toBe(true); // its job, and its dead letter
    const [record] = records.filter((text) => text.includes('[redacted]') && !text.includes('"payload"'));
    expect(record).toBeDefined();
    expect(record).not.toMatch(/hunter2|4111/);
  }, 120_000);

  async function dumpOf(key: string): Promise<string> {
    return (await fixture.redis.type(key)) === 'hash'
      ? JSON.stringify(await fixture.redis.hgetall(key)).replaceAll('\\"', '"')
      : '';
  }
});

describe('a codec beyond the process', () => {
  it('writes for the children of a process pool, and reads what they say', async () => {
    const prefix = uniquePrefix('codec');
    const app = await fixture.boot({
      prefix,
      options: { codec: superjson, errors: [Overdue] },
      providers: [RichTasks],
      module: (options) => {
        const { connection } = options;
        const pool = {
          type: 'process',
          size: 1,
          module: built('rich-module.js'),
          execArgv: [],
          env: { NODE_OPTIONS: '', POOL_OPTIONS: JSON.stringify({ connection, prefix }) },
        } as const;
        return onPlatform(TaskQueueModule.forRoot({ ...options, queues: { rich: { pool } } }), {
          ...redisPlatform,
          hosts: processPools(built('node_modules/nestjs-task-queue/nest/child-main.js')),
        });
      },
    });
    const tasks = app.workflows.tasks(RichTasks);
    const value = { at: AT, prices: new Map([['a', 1n]]), nothing: undefined };
    expect(await (await tasks.same.delay(value)).get(WITHIN)).toEqual(value);
    expect(await (await tasks.kind.delay(AT)).get(WITHIN)).toMatch(/^Date in (?!undefined)\d+$/);
    const telling = await tasks.tells.delay(AT);
    await telling.get(WITHIN);
    expect(await telling.progress()).toEqual({ at: AT });
    expect(await (await tasks.again.delay(AT)).get(WITHIN)).toEqual(new Date(1));
    expect(await (await tasks.replaced.delay(AT)).get(WITHIN)).toEqual(AT);
    expect(await (await tasks.same.map([AT, value]).delay()).get(WITHIN)).toEqual([AT, value]);
    const chord = app.workflows.chord([tasks.same.s(AT), tasks.same.s(AT)], tasks.pages.s() as never);
    const next = new Date(AT.getTime() + 1);
    expect(await (await chord.applyAsync([])).get(WITHIN)).toEqual([next, next]);
    const refused = await tasks.refuses.delay(AT);
    const error = await refused.get({ ...WITHIN, propagate: false });
    expect(error).toBeInstanceOf(Overdue);
    expect(error).toMatchObject({ since: AT, owed: 7n });
    expect((await app.workflows.deadLetters.get(refused.id))?.failure.request.args).toEqual([AT]);
  }, 120_000);

  it('writes for pattern handlers, and reads what they answer', async () => {
    @Controller()
    class Calendar {
      @MessagePattern('next')
      next(@Payload() at: Date): { at: Date } {
        return { at: new Date(at.getTime() + 1) };
      }
    }
    const prefix = uniquePrefix('codec');
    await fixture.boot({
      prefix,
      options: { codec: superjson },
      imports: [TaskQueueMicroserviceModule.register()],
      controllers: [Calendar],
    });
    const client = new TaskQueueClient({ connection: { url: redisUrl() }, prefix, codec: superjson });
    try {
      expect(await firstValueFrom(client.send('next', AT))).toEqual({ at: new Date(AT.getTime() + 1) });
    } finally {
      await client.close();
    }
  }, 120_000);
});
