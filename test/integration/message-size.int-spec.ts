import { Injectable } from '@nestjs/common';
import { type AnyCanvas, type AsyncResult, currentTask, type JsonValue, Task } from 'nestjs-task-queue';
import { type TestApp, until, useApps } from '../support/app-fixture.js';

/** How much of a canvas its messages carry: docs/canvases.md states the bound. */

const fixture = useApps();
const PADDING = 'p'.repeat(100);
/** Bytes of the message that each task came with, by its id. */
const received = new Map<string, number>();
let app: TestApp;

@Injectable()
class SizedTasks {
  @Task({ queue: 'sized' })
  async step(_value: JsonValue, padding: string): Promise<number> {
    const { id } = currentTask();
    received.set(id, await fixture.redis.hstrlen(`{${app.prefix}:0}:sized:${id}`, 'data'));
    return padding.length;
  }
}

interface Measured {
  /** The canvas itself. */
  readonly json: number;
  /** The largest message of a task. */
  readonly task: number;
  readonly tasks: number;
  /** The largest message of a composite. */
  readonly node: number;
  /** All messages together. */
  readonly total: number;
}

async function measure(canvas: object): Promise<Measured> {
  received.clear();
  const handle = await (canvas as { delay(value: number): Promise<AsyncResult> }).delay(1);
  await handle.get();
  const tasks = [...received.values()];
  const isNode = /:_canvas:[^:]+$/;
  const keys = (await fixture.keys(app.prefix)).filter((key) => isNode.test(key) && key.includes(handle.id));
  const nodes = await Promise.all(keys.map((key) => fixture.redis.hstrlen(key, 'data')));
  const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);
  return {
    json: JSON.stringify(canvas).length,
    task: Math.max(...tasks),
    tasks: tasks.length,
    node: Math.max(...nodes),
    total: sum(tasks) + sum(nodes),
  };
}

describe('the messages of a canvas', () => {
  beforeEach(async () => {
    app = await fixture.boot({
      providers: [SizedTasks],
      options: { queues: { sized: { concurrency: 20 } } },
    });
  });
  afterEach(() =>
    until(async () => Object.keys(await fixture.unfinished(app.prefix)).length === 0, 'nothing unfinished'),
  );
  const step = () => app.workflows.tasks(SizedTasks).step.s(PADDING);
  const chain = (steps: readonly AnyCanvas[]): object => app.workflows.chain(...(steps as never));
  const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

  it('of a step are no larger in a chain of 500 than in one of 5, and all together grow with its length only', async () => {
    const short = await measure(chain(times(5, step)));
    const long = await measure(chain(times(500, step)));
    expect([short.tasks, long.tasks]).toEqual([5, 500]);
    expect(long.task).toBe(short.task);
    // The chain itself is kept once, in its node; each step then comes with its own part of it and the value before it.
    expect(long.node).toBeLessThanOrEqual(long.json);
    expect(long.total).toBeLessThan(long.json * 2.2);
    expect(long.total / 500).toBeLessThanOrEqual((short.total / 5) * 1.2);
  });

  it('of a member are no larger behind 100 groups than behind 5, and all together grow with their number only', async () => {
    const groups = (count: number) => chain(times(count, () => app.workflows.group(times(10, step))));
    const few = await measure(groups(5));
    const many = await measure(groups(100));
    expect([few.tasks, many.tasks]).toEqual([50, 1_000]);
    expect(many.task).toBe(few.task);
    expect(many.node).toBeLessThanOrEqual(many.json);
    expect(many.total).toBeLessThan(many.json * 2.5);
    expect(many.total / 100).toBeLessThanOrEqual((few.total / 5) * 1.2);
  });

  it('of a body do not grow with the header before it', async () => {
    const after = async (size: number) => {
      const body = app.workflows.chain(...([step(), step()] as never)) as AnyCanvas;
      return measure(app.workflows.chord(times(size, step) as never, body as never));
    };
    const narrow = await after(2);
    const wide = await after(400);
    expect(wide.task - narrow.task).toBeLessThanOrEqual(2 * '400'.length);
    expect(wide.node - narrow.node).toBeLessThanOrEqual(2 * '400'.length);
  });
});
