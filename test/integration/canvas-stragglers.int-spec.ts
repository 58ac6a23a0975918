/** Members that go on after their header was closed: they end as they would have, and nothing of them is left. */
import { Injectable } from '@nestjs/common';
import { CallbackWithSuccesses, Task } from 'nestjs-task-queue';
import { Runs, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { Probe } from '../support/canvas-runner.js';

@Injectable()
class Slow {
  constructor(
    private readonly probe: Probe,
    private readonly runs: Runs,
  ) {}

  @Task()
  async gate(door: string): Promise<string> {
    this.runs.record(`at ${door}`);
    await this.probe.pass(door);
    return door;
  }

  @Task()
  async breaks(door: string): Promise<never> {
    this.runs.record(`at ${door}`);
    await this.probe.pass(door);
    throw new TypeError('broken');
  }

  @Task()
  body(values: readonly unknown[]): number {
    this.runs.record('body', values);
    return values.length;
  }
}

const fixture = useApps();
const { redis } = fixture;

describe('members of a header that was closed', () => {
  it('are waited for by the expiry of their canvas, and go with it', async () => {
    const prefix = uniquePrefix('stragglers');
    const app: TestApp = await fixture.boot({
      prefix,
      providers: [Slow, Probe],
      options: { defaults: { resultExpires: '1s' }, worker: { drainTimeout: 0 } },
    });
    const { workflows } = app;
    const tasks = workflows.tasks(Slow);
    const inner = workflows.chord([tasks.gate.s('inner'), tasks.breaks.s('inner')], tasks.body.s(), {
      recovery: CallbackWithSuccesses,
    });
    const { id } = await workflows
      .chord([tasks.body.s([]), tasks.breaks.s('outer'), inner], tasks.body.s(), { deadline: 300 })
      .applyAsync();
    expect(await workflows.result(id).get()).toBe(1);
    await app.runs.reached('at outer');
    await app.runs.reached('at inner', 2);
    const keysOf = async (): Promise<string[]> =>
      (await redis.keys(`{${prefix}:0}:*`)).filter((key) => key.includes(id));
    const expiry = `{${prefix}:0}:_expiry`;
    const dueMs = async (): Promise<number> => Number(await redis.zscore(expiry, id));
    const firstMs = await dueMs();
    await until(async () => (await dueMs()) !== firstMs, 'its time has come');
    // Its members run: what is known of it is there, and so is what they still need of it.
    expect(await workflows.result(`${id}.2`).state()).toBe('PENDING');
    await workflows.result(id).forget();
    expect(await workflows.result(`${id}.2`).state()).toBe('PENDING');

    app.get(Probe).open('outer');
    app.get(Probe).open('inner');
    await app.runs.reached('body', 3);
    expect(app.runs.of('body')).toContainEqual(['inner']);
    await until(async () => (await keysOf()).length === 0, 'every key of it is gone', 60_000).catch(
      async (error: unknown) => {
        throw new Error(`${String(error)}; left are ${(await keysOf()).join(', ')}`);
      },
    );
    for (const set of ['completed', 'failed', 'waiting-children'])
      expect(await redis.zrange(`{${prefix}:0}:_canvas:${set}`, '0', '-1')).toEqual([]);
    expect(await redis.zcard(expiry)).toBe(0);
  });
});
