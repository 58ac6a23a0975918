/** What explaining and reconciling ask of Redis: what is named, and never a search through all that it holds. */
import { Injectable } from '@nestjs/common';
import { Task } from 'nestjs-task-queue';
import { until, useApps } from '../support/app-fixture.js';
import { Probe } from '../support/canvas-runner.js';
import { commandsDuring } from '../support/command-log.js';

@Injectable()
class Read {
  constructor(private readonly probe: Probe) {}

  @Task()
  async gate(door: string): Promise<string> {
    await this.probe.pass(door);
    return door;
  }

  @Task()
  echo(value: unknown): unknown {
    return value;
  }
}

const fixture = useApps();

it('no keyspace is scanned, whether one canvas is looked at, all that waits, or what was lost is put back', async () => {
  const app = await fixture.boot({ providers: [Read, Probe] });
  const { gate, echo } = app.workflows.tasks(Read);
  const { id } = await app.workflows
    .chord([gate.s('door'), echo.s(1)], echo.s() as never, { deadline: '1h' })
    .applyAsync();
  await until(
    async () => (await app.workflows.result(id).describe()).counts?.succeeded === 1,
    'one has ended',
  );
  const timer = `${id}.deadline`;
  await fixture.redis.del(`{${app.prefix}:0}:_canvas:${timer}`);
  const mended: string[] = [];
  const commands = await commandsDuring(fixture.redis, async () => {
    await app.workflows.explain(id);
    for (const scope of [id, timer, { olderThan: 1 }]) {
      const report = await app.workflows.reconcile(scope as never);
      mended.push(...report.mended.map(({ kind }) => kind));
    }
    await app.workflows.explain('0~nobody');
  });
  expect(mended).toEqual(['vanished']);
  // Others use the same Redis: what this application has sent, and what scripts did with its keys.
  const clients = String(await fixture.redis.client('LIST')).split('\n');
  const own = new Set(
    clients
      .filter((line) => / name=(\S*)/.exec(line)?.[1]?.includes(app.prefix))
      .map((line) => / addr=(\S+)/.exec(line)?.[1]),
  );
  const ours = commands.filter(
    ({ source, args }) =>
      own.has(source) || (source === 'lua' && args.some((arg) => arg.includes(app.prefix))),
  );
  const names = new Set(ours.map(({ args }) => args[0]?.toLowerCase()));
  expect(names).toContain('sscan'); // what a set of ours holds, page by page
  expect([...names].filter((name) => name === 'scan' || name === 'keys' || name === 'randomkey')).toEqual([]);
  app.get(Probe).open('door');
  await app.workflows.result(id).get();
}, 120_000);
