/** Idempotency keys on a real Redis: what they cost, what they leave behind, and what happens when somebody meddles. */
import { Injectable } from '@nestjs/common';
import { Idempotent, Task } from 'nestjs-task-queue';
import { Runs, type TestApp, useApps } from '../support/app-fixture.js';
import { commandsDuring } from '../support/command-log.js';

@Injectable()
class OnceTasks {
  constructor(private readonly runs: Runs) {}

  @Task()
  plain(value: number): number {
    this.runs.record('plain', value);
    return value;
  }

  @Task()
  @Idempotent({ key: (value: number) => String(value), ttl: '1m' })
  keyed(value: number): number {
    this.runs.record('keyed', value);
    return value;
  }
}

const CALLS = 20;
const apps = useApps();

describe('idempotency keys in Redis', () => {
  let app: TestApp;
  const tasks = () => app.workflows.tasks(OnceTasks);
  const records = async (): Promise<string[]> =>
    (await apps.keys(app.prefix)).filter((key) => key.includes(':_once:'));
  beforeEach(async () => {
    app = await apps.boot({ providers: [OnceTasks] });
  });

  it('tasks without a key or a lock pay for none: three scripts each at most, as ever', async () => {
    await (await tasks().plain.delay(-1)).get(); // connections and scripts are there
    await (await tasks().keyed.delay(-1)).get();
    const plain = await commandsOf(async () => {
      for (let at = 0; at < CALLS; at++) await tasks().plain.delay(at);
      await app.runs.reached('plain', CALLS + 1);
    });
    const keyed = await commandsOf(async () => {
      for (let at = 0; at < CALLS; at++) await tasks().keyed.delay(at);
      await app.runs.reached('keyed', CALLS + 1);
    });
    const scripts = (lines: readonly string[]): number =>
      lines.filter((line) => /"evalsha"/i.test(line)).length;
    process.stdout.write(
      `commands of ${CALLS} calls: ${plain.length} without a key (${scripts(plain)} scripts), ` +
        `${keyed.length} with one (${scripts(keyed)} scripts)\n`,
    );
    expect(plain.filter((line) => /_once|_lock|_token/.test(line))).toEqual([]);
    // One to add it, one that a worker without work fetches it with, one to end it.
    expect(scripts(plain)).toBeLessThanOrEqual(3 * CALLS + 4);
    expect(keyed.filter((line) => line.includes('_once')).length).toBeGreaterThanOrEqual(3 * CALLS);
  });

  it('records go by themselves when their time is over, and hold what the task returned until then', async () => {
    const handle = await tasks().keyed.delay(1);
    await handle.get();
    const [record = ''] = await records();
    const ttl = await apps.redis.pttl(record);
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(60_000);
    // The result is gone, and the key still has what it came to.
    await handle.forget();
    expect(await (await app.workflows.group([tasks().keyed.s(1)]).applyAsync()).get()).toEqual([1]);
    expect((await tasks().keyed.delay(1)).id).toBe(handle.id);
    expect(app.runs.count('keyed')).toBe(1);
  });

  it('a call that was reserved and never published is published by the next one, under its id', async () => {
    const handle = await tasks().keyed.delay(2);
    await handle.get();
    const [record = ''] = await records();
    // What a publisher leaves behind that died before it published.
    await apps.redis.hset(record, 'id', '0~neverPublished', 'confirmed', '0');
    await apps.redis.hdel(record, 'value');
    const next = await tasks().keyed.delay(2);
    expect(next.id).toBe('0~neverPublished');
    expect(await next.get()).toBe(2);
    expect(app.runs.count('keyed')).toBe(2);
  });

  it('a task that was removed by hand leaves its key', async () => {
    await app.close();
    const producer = await apps.boot({ prefix: app.prefix, options: { role: 'producer' } });
    const handle = await producer.workflows.tasks(OnceTasks).keyed.delay(3);
    const [queue] = await producer.workflows.queues();
    await queue?.remove(handle.id);
    const worker = await apps.boot({ prefix: app.prefix, providers: [OnceTasks] });
    const group = await worker.workflows.group([worker.workflows.tasks(OnceTasks).keyed.s(3)]).applyAsync();
    expect(await group.get()).toEqual([3]);
    expect(worker.runs.count('keyed')).toBe(1);
  });

  /** What clients send to Redis of this application meanwhile. */
  async function commandsOf(work: () => Promise<void>): Promise<string[]> {
    const commands = await commandsDuring(apps.redis, work);
    return commands
      .filter(({ args, source }) => source !== 'lua' && args.some((arg) => arg.includes(app.prefix)))
      .map(({ args }) => args.map((arg) => JSON.stringify(arg)).join(' '));
  }
});
