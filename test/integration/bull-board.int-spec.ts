/** What bull-board shows of queues and canvases, as docs/bull-board.md has it mounted. */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { Injectable } from '@nestjs/common';
import request from 'supertest';
import {
  BrokerUnavailableError,
  CallbackWithSuccesses,
  NonRetryableError,
  Retry,
  Task,
  type TaskQueueModuleOptions,
} from 'nestjs-task-queue';
import { type TestApp, until, useApps } from '../support/app-fixture.js';

const WITHIN_MS = 60_000;
const fixture = useApps();

/** Opened by a test when handlers may go on. */
class Gate {
  open = (): void => undefined;
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

@Injectable()
class BoardTasks {
  constructor(private readonly gate: Gate) {}

  @Task()
  double(value: number): number {
    return 2 * value;
  }

  @Task({ queue: 'letters' })
  fails(value: number): never {
    throw new NonRetryableError(`no letter for ${value}`);
  }

  @Task({ queue: 'letters' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: '1h' } })
  flaky(): never {
    throw new Error('not today');
  }

  @Task({ queue: 'letters' })
  async waits(value: number): Promise<number> {
    await this.gate.passed;
    return value;
  }

  @Task()
  sum(values: number[]): number {
    return values.reduce((sum, value) => sum + value, 0);
  }
}

interface Counts {
  readonly active: number;
  readonly failed: number;
  readonly completed: number;
  readonly delayed: number;
  readonly 'waiting-children': number;
}
interface FlowNode {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly queueName: string;
  readonly children: FlowNode[];
  readonly truncated?: boolean;
  readonly dependencies?: Record<'processed' | 'unprocessed' | 'ignored' | 'failed', number>;
  readonly ignoredChildFailureReasons?: Record<string, string>;
}
interface ShownJob {
  readonly name: string;
  readonly data: { readonly args?: unknown[]; readonly node?: string };
  readonly failedReason?: string;
  readonly stacktrace: string[];
}

/** The board's answers over one application. */
class Board {
  readonly #server = new ExpressAdapter();
  readonly #board = createBullBoard({ queues: [], serverAdapter: this.#server });

  constructor(private readonly app: TestApp) {}

  async read(path: string): Promise<unknown> {
    const queues = await this.app.workflows.queues();
    this.#board.replaceQueues(
      queues.map(
        (queue) => new BullMQAdapter(queue, { readOnlyMode: true, prefix: `${queue.opts.prefix}:` }),
      ),
    );
    const router = this.#server.getRouter() as Parameters<typeof request>[0];
    return (await request(router).get(`/api/queues${path}`).expect(200)).body;
  }

  async counts(): Promise<Record<string, Counts & { hasWorkers: boolean }>> {
    const { queues } = (await this.read('')) as {
      queues: { name: string; counts: Counts; hasWorkers: boolean }[];
    };
    return Object.fromEntries(
      queues.map(({ name, counts, hasWorkers }) => [withoutPrefix(name), { ...counts, hasWorkers }]),
    );
  }

  async flow(prefix: string, queue: string, id: string): Promise<FlowNode> {
    const path = `/${encodeURIComponent(`${prefix}:${queue}`)}/${id}/flow`;
    return ((await this.read(path)) as { flowRoot: FlowNode }).flowRoot;
  }

  async job(prefix: string, queue: string, id: string): Promise<ShownJob & { state: string }> {
    const path = `/${encodeURIComponent(`${prefix}:${queue}`)}/${id}`;
    const { job, status } = (await this.read(path)) as { job: ShownJob; status: string };
    return { ...job, state: status };
  }
}

const withoutPrefix = (name: string): string => name.slice(name.lastIndexOf(':') + 1);

async function boot(options: TaskQueueModuleOptions = {}) {
  const app = await fixture.boot({ providers: [BoardTasks, Gate], options });
  return { app, tasks: app.workflows.tasks(BoardTasks), board: new Board(app), prefix: `{${app.prefix}:0}` };
}

describe('queues()', () => {
  it('has every queue of tasks, options and nodes, in each shard, and closes with the application', async () => {
    const { app, board } = await boot({ shards: 2, queues: { spare: {} } });
    const queues = await app.workflows.queues();
    expect(queues.map(({ qualifiedName }) => qualifiedName).sort()).toEqual(
      [0, 1].flatMap((shard) =>
        ['_canvas', 'default', 'letters', 'spare'].map((name) => `{${app.prefix}:${shard}}:${name}`),
      ),
    );
    expect(await app.workflows.queues()).toEqual(queues);
    expect(Object.values(await board.counts()).every(({ hasWorkers }) => hasWorkers)).toBe(true);
    await app.close();
    expect(queues.map((queue) => queue.closing instanceof Promise)).toEqual(queues.map(() => true));
  });

  it('of a producer has those that it calls, and opens no connection of its own', async () => {
    const producer = await fixture.boot({ options: { role: 'producer' } });
    await producer.workflows.signature('somebody.else', []).delay();
    const before = (await fixture.connectionsOf(producer.prefix)).length;
    producer.workflows.tasks(BoardTasks);
    const names = (await producer.workflows.queues()).map(({ name }) => name);
    expect(names.sort()).toEqual(['_canvas', 'default', 'letters']);
    expect(await fixture.connectionsOf(producer.prefix)).toHaveLength(before);
  });
});

it('queues() rejects while Redis is away', async () => {
  const app = await fixture.boot({
    url: 'redis://127.0.0.1:1',
    options: { role: 'producer', publishTimeout: 200 },
  });
  await expect(app.workflows.queues()).rejects.toThrow(BrokerUnavailableError);
});

describe('the board', () => {
  it('counts what runs, waits, failed and is tried again, per queue', async () => {
    const { app, tasks, board } = await boot();
    const chord = await app.workflows
      .chord([tasks.double.s(1), tasks.waits.s(2)], tasks.sum.s())
      .applyAsync();
    const failed = await Promise.all([1, 2].map((value) => tasks.fails.delay(value)));
    await Promise.all(failed.map((handle) => handle.get({ propagate: false, timeout: WITHIN_MS })));
    const flaky = await tasks.flaky.delay();
    await until(async () => (await flaky.state()) === 'RETRY', 'it is tried again');
    await until(async () => (await board.counts()).letters?.active === 1, 'the member runs');

    expect(await board.counts()).toMatchObject({
      letters: { active: 1, failed: 2, delayed: 1, hasWorkers: true },
      _canvas: { 'waiting-children': 1, failed: 0, hasWorkers: true },
      default: { active: 0, failed: 0, hasWorkers: true },
    });
    app.get(Gate).open();
    expect(await chord.get({ timeout: WITHIN_MS })).toBe(4);
    await until(async () => (await board.counts())._canvas?.completed === 1, 'the chord is complete');
    expect(await board.counts()).toMatchObject({ letters: { active: 0, failed: 2, delayed: 1 } });
  });

  it('shows a chord that runs as a tree, from any part of it', async () => {
    const { app, tasks, board, prefix } = await boot();
    const chord = await app.workflows
      .chord([tasks.double.s(1), tasks.fails.s(2), tasks.waits.s(3)], tasks.sum.s())
      .applyAsync();
    await until(async () => (await chord.children())[1]?.failed() ?? false, 'the member has failed');
    await until(async () => (await chord.children())[0]?.successful() ?? false, 'the member has a value');
    const [failed, waiting] = [`${chord.id}.1`, `${chord.id}.2`];
    await until(
      async () => (await board.flow(prefix, 'letters', waiting)).children.length === 2,
      'both are shown',
    );

    for (const [queue, id] of [
      ['_canvas', chord.id],
      ['letters', failed],
      ['letters', waiting],
    ] as const) {
      const tree = await board.flow(prefix, queue, id);
      expect(tree).toMatchObject({
        id: chord.id,
        name: 'chord',
        state: 'waiting-children',
        dependencies: { processed: 1, ignored: 1, unprocessed: 1, failed: 0 },
      });
      expect(tree.truncated).toBeUndefined();
      expect(Object.values(tree.ignoredChildFailureReasons ?? {})).toEqual([
        'NonRetryableError: no letter for 2',
      ]);
      expect(
        tree.children.map(({ id: child, name, state, queueName }) => [
          child,
          name,
          state,
          withoutPrefix(queueName),
        ]),
      ).toEqual(
        expect.arrayContaining([
          [failed, 'BoardTasks.fails', 'failed', 'letters'],
          [waiting, 'BoardTasks.waits', 'active', 'letters'],
        ]),
      );
    }
    app.get(Gate).open();
    await chord.get({ propagate: false, timeout: WITHIN_MS });
  });

  it('shows what failed in a chord that has ended, with message, stack and arguments', async () => {
    const { app, tasks, board, prefix } = await boot();
    const header = () => [tasks.double.s(1), tasks.fails.s(2), tasks.double.s(3)];
    const broken = await app.workflows.chord(header(), tasks.sum.s()).applyAsync();
    const recovered = await app.workflows
      .chord(header(), tasks.sum.s(), { recovery: CallbackWithSuccesses })
      .applyAsync();
    await broken.get({ propagate: false, timeout: WITHIN_MS });
    expect(await recovered.get({ timeout: WITHIN_MS })).toBe(8);
    await until(async () => (await board.counts())._canvas?.completed === 1, 'the chord is complete');

    const trees = await Promise.all([broken, recovered].map(({ id }) => board.flow(prefix, '_canvas', id)));
    expect(trees).toMatchObject([
      { state: 'failed', dependencies: { processed: 2, ignored: 1, unprocessed: 0 } },
      { state: 'completed', dependencies: { processed: 3, ignored: 1, unprocessed: 0 } },
    ]);
    for (const { id, children } of trees) {
      expect(children).toMatchObject([{ id: `${id}.1`, state: 'failed', name: 'BoardTasks.fails' }]);
      const member = await board.job(prefix, 'letters', `${id}.1`);
      expect(member).toMatchObject({
        name: 'BoardTasks.fails',
        state: 'failed',
        data: { args: [2] },
        failedReason: 'NonRetryableError: no letter for 2',
      });
      expect(member.stacktrace[0]).toMatch(/no letter for 2\n\s+at .*fails/);
    }
    const chord = await board.job(prefix, '_canvas', broken.id);
    expect(chord).toMatchObject({ name: 'chord', state: 'failed', data: { node: 'chord' } });
    expect(chord.failedReason).toBe(
      'ChordError: 1 of 3 members failed; the first is [1] BoardTasks.fails: no letter for 2',
    );
    expect(chord.stacktrace[0]).toMatch(/no letter for 2\n\s+at .*fails/);
    expect(await board.counts()).toMatchObject({ letters: { failed: 2 } });
  });

  it('shows no more of a canvas once it is forgotten', async () => {
    const { app, tasks, board } = await boot();
    const chord = await app.workflows.chord([tasks.fails.s(1)], tasks.sum.s()).applyAsync();
    await chord.get({ propagate: false, timeout: WITHIN_MS });
    await until(async () => (await board.counts())._canvas?.failed === 1, 'the chord has ended');
    await chord.forget();
    expect(await board.counts()).toMatchObject({ letters: { failed: 0 }, _canvas: { failed: 0 } });
  });
});
