/** Events between processes: what they cost, what they survive, what is no message of ours. */
import { Injectable } from '@nestjs/common';
import { type EventStream, Task, TaskContext, type TaskEvent } from 'nestjs-task-queue';
import { type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { commandsDuring } from '../support/command-log.js';

@Injectable()
class Steps {
  @Task({ name: 'steps' })
  async steps(count: number, task: TaskContext): Promise<number> {
    for (let step = 1; step <= count; step++) await task.progress({ step });
    return count;
  }
}

const fixture = useApps();

/** What a stream gives, as it comes. */
function collect(stream: EventStream): TaskEvent[] {
  const events: TaskEvent[] = [];
  stream.asObservable().subscribe((event) => events.push(event));
  return events;
}

/** A worker, and an application that only watches and publishes. */
async function bootTwo(): Promise<{ prefix: string; worker: TestApp; watcher: TestApp }> {
  const prefix = uniquePrefix('events');
  const worker = await fixture.boot({ prefix, providers: [Steps], options: { role: 'worker' } });
  const watcher = await fixture.boot({ prefix, options: { role: 'producer' } });
  return { prefix, worker, watcher };
}

/** Runs a task. @returns its id */
async function run(app: TestApp, count = 1): Promise<string> {
  const handle = await app.workflows.signature('steps', [count]).applyAsync([]);
  await handle.get();
  return handle.id;
}

/** Every command on the channels of events and of control messages, while something is done. */
async function tellingDuring(prefix: string, work: () => Promise<unknown>): Promise<string[]> {
  const commands = await commandsDuring(fixture.redis, work);
  return commands
    .filter(({ args }) => args.some((arg) => /:_(?:events|control)$/.test(arg) && arg.includes(prefix)))
    .map(
      ({ args: [name, channel] }) => `${name?.toLowerCase()} ${channel?.slice(channel.lastIndexOf(':') + 1)}`,
    );
}

describe('events between processes', () => {
  it('cost no command while nobody watches, one for each turn of the loop while somebody does', async () => {
    const { prefix, worker, watcher } = await bootTwo();
    const watching = async (): Promise<string[]> =>
      (await fixture.connectionsOf(prefix)).filter((name) => name.endsWith(':watch'));
    await run(watcher);
    expect(await tellingDuring(prefix, () => run(watcher, 20))).toEqual([]);
    expect(await watching()).toEqual([]);

    const stream = await watcher.workflows.events({ types: ['received', 'started', 'success'] });
    const events = collect(stream);
    expect(await watching()).toHaveLength(1);
    // The worker has heard of the watch by the time it has told of a task.
    await until(async () => (await run(watcher), events.some(({ type }) => type === 'success')), 'an event');
    const told = (id: string): boolean => events.some((event) => event.type === 'success' && event.id === id);
    const last = await run(watcher);
    await until(() => told(last), 'what was before is over');
    let id = '';
    const ran = await tellingDuring(prefix, async () => {
      id = await run(watcher, 20);
      await until(() => told(id), 'the end is told');
    });
    const sent = ran.filter((command) => command === 'publish _events');
    // The watch may be said again meanwhile.
    expect(ran.filter((command) => command !== 'publish _events' && command !== 'publish _control')).toEqual(
      [],
    );
    // Progress is not asked for; what comes on one turn of the loop goes together.
    expect(sent.length).toBeGreaterThanOrEqual(1);
    expect(sent.length).toBeLessThanOrEqual(3);
    expect(events.filter((event) => event.id === id).map(({ type }) => type)).toEqual([
      'received',
      'started',
      'success',
    ]);

    const second = await worker.workflows.events();
    stream.close();
    await until(async () => (await watching()).length === 1, 'the connection goes with the last stream');
    second.close();
    await until(async () => (await watching()).length === 0, 'no connection is left');
    expect(await tellingDuring(prefix, () => run(watcher, 5))).toEqual([]);
  });

  it('come again after the connection was lost', async () => {
    const { prefix, watcher } = await bootTwo();
    const events = collect(await watcher.workflows.events());
    await until(async () => (await run(watcher), events.length > 0), 'an event');
    const list = String(await fixture.redis.call('CLIENT', 'LIST'));
    const line = list.split('\n').find((one) => one.includes(prefix) && one.includes(':watch'));
    await fixture.redis.call('CLIENT', 'KILL', 'ID', /^id=(\d+)/.exec(line ?? '')?.[1] ?? '');
    const before = events.length;
    await until(async () => (await run(watcher), events.length > before), 'an event after the reconnect');
  });

  it('are not what others say on their channels', async () => {
    const { prefix, worker, watcher } = await bootTwo();
    const events = collect(await watcher.workflows.events());
    const about = { id: 'x', name: 'x', queue: 'x', workflowId: 'x', position: '', at: 'x' };
    const forged = [
      'no JSON',
      'null',
      '[]',
      '{"v":2,"events":[{"type":"success"}]}',
      '{"v":1,"events":"all"}',
      JSON.stringify({ v: 1, lost: -5, events: [null, 7, { type: 'success' }, { ...about, type: 'other' }] }),
      `{"v":1,"lost":1e400,"__proto__":{"polluted":1},"events":[{"type":"success","__proto__":{"polluted":1}}]}`,
      '['.repeat(50_000),
    ];
    for (const text of forged) await fixture.redis.publish(`{${prefix}:0}:_events`, text);
    const control = [
      ...forged,
      '{"watch":7}',
      '{"watch":"w","types":[{}, 1, "success", "__proto__"]}',
      '{"unwatch":{}}',
    ];
    for (const text of control) await fixture.redis.publish(`{${prefix}:0}:_control`, text);
    await until(async () => (await run(watcher), events.some(({ type }) => type === 'success')), 'an event');
    expect(events.every(({ name }) => name === 'steps')).toBe(true);
    expect('polluted' in {}).toBe(false);
    expect(worker.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
