/**
 * Workers that are killed in the middle of what is wider than a page: while they fill a wide body, read what a header came
 * to for its node, or for a body, as a list or page by page. Nothing is lost, and nothing is released twice.
 */
import type { AsyncResult, WorkflowService } from 'nestjs-task-queue';
import { redisUrl, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';
import { summaryOf, WideTasks } from '../support/workers/wide-tasks.js';
import type { WideEnd } from '../support/workers/wide-worker.js';

/** Filled in six chunks: after its node was opened and taken over, before it is sealed. */
const BODY = 1_500;
/** Three pages. */
const HEADER = 2_100;
const CONCURRENCY = 20;

const shapes = {
  'a wide body': (workflows: WorkflowService, taskId: string) => {
    const { member, after } = workflows.tasks(WideTasks);
    const body = workflows.group(Array.from({ length: BODY }, (_, index) => after.s(index)));
    return workflows.chord([member.s(0), member.s(1)], body).applyAsync([], { taskId });
  },
  'a group': (workflows: WorkflowService, taskId: string) =>
    workflows.group(header(workflows)).applyAsync([], { taskId }),
  'a body that takes a list': (workflows: WorkflowService, taskId: string) =>
    workflows.chord(header(workflows), workflows.tasks(WideTasks).list.s()).applyAsync([], { taskId }),
  'a body that reads page by page': (workflows: WorkflowService, taskId: string) =>
    workflows.chord(header(workflows), workflows.tasks(WideTasks).pages.s()).applyAsync([], { taskId }),
};
type Shape = keyof typeof shapes;

const header = (workflows: WorkflowService) =>
  Array.from({ length: HEADER }, (_, index) => workflows.tasks(WideTasks).member.s(index));

const indexes = (length: number): number[] => Array.from({ length }, (_, index) => index);
const expected: Readonly<Record<Shape, unknown>> = {
  'a wide body': indexes(BODY).map((index) => 2 + index),
  'a group': indexes(HEADER),
  'a body that takes a list': summaryOf(indexes(HEADER)),
  'a body that reads page by page': summaryOf(indexes(HEADER)),
};
const sizes: Readonly<Record<Shape, number>> = {
  'a wide body': BODY + 2,
  'a group': HEADER,
  'a body that takes a list': HEADER + 1,
  'a body that reads page by page': HEADER + 1,
};

const POINTS: readonly (readonly [shape: Shape, end: (id: string) => WideEnd])[] = [
  ['a wide body', (id) => ({ at: 'transaction', side: 'after', nth: 1, node: `${id}.body` })],
  ['a wide body', (id) => ({ at: 'transaction', side: 'before', nth: 3, node: `${id}.body` })],
  ['a wide body', (id) => ({ at: 'transaction', side: 'after', nth: 5, node: `${id}.body` })],
  ['a wide body', (id) => ({ at: 'transaction', side: 'after', nth: 8, node: `${id}.body` })],
  ['a wide body', (id) => ({ at: 'transaction', side: 'after', nth: 9, node: `${id}.body` })],
  ['a group', (id) => ({ at: 'page', nth: 2, node: id })],
  ['a body that takes a list', (id) => ({ at: 'page', nth: 2, node: id })],
  ['a body that reads page by page', (id) => ({ at: 'page', nth: 1, node: id })],
  ['a body that reads page by page', (id) => ({ at: 'page', nth: 3, node: id })],
];

const fixture = useApps();
const workers: WorkerProcess[] = [];
async function startWorker(prefix: string, dies?: WideEnd): Promise<WorkerProcess> {
  const worker = await WorkerProcess.start('wide-worker', {
    url: redisUrl(),
    prefix,
    options: {
      queues: { members: { concurrency: CONCURRENCY }, ends: { concurrency: 2 } },
      worker: { lockDuration: '1s', stalledInterval: '300ms', maxTimesLost: 20 },
    },
    ...(dies === undefined ? {} : { dies }),
  });
  workers.push(worker);
  return worker;
}

describe('a worker that is killed', () => {
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.end()));
  });

  it('in the middle of filling a wide body, or of reading a wide header: all is there, once', async () => {
    const prefix = uniquePrefix('wide');
    fixture.adopt(prefix);
    const { workflows } = await fixture.boot({ prefix, options: { role: 'producer' } });

    // What one worker leaves behind is taken up by the next, which dies of something else.
    const handles: AsyncResult<unknown>[] = [];
    for (const [at, [shape, end]] of POINTS.entries()) {
      const id = `k${at}`;
      const mortal = await startWorker(prefix, end(id));
      handles.push((await shapes[shape](workflows, id)) as AsyncResult<unknown>);
      expect([at, await mortal.ended()]).toEqual([at, { code: null, signal: 'SIGKILL' }]);
    }
    await startWorker(prefix);

    for (const [at, handle] of handles.entries()) {
      const shape = (POINTS[at] as (typeof POINTS)[number])[0];
      expect([shape, await handle.get({ timeout: '2m' })]).toEqual([shape, expected[shape]]);
    }
    await until(
      async () => Object.values(await fixture.unfinished(prefix)).flat().length === 0,
      'an end of all',
    );

    const runs = Object.entries(await fixture.redis.hgetall(`count:${prefix}`));
    for (const [at, { id }] of handles.entries()) {
      const [shape] = POINTS[at] as (typeof POINTS)[number];
      const own = runs.filter(([task]) => task.startsWith(`${id}.`));
      expect([shape, own.length]).toEqual([shape, sizes[shape]]);
      // Each was handed out again at most to as many as could run when the worker died, of this canvas or the one before.
      const again = own.filter(([, times]) => times !== '1');
      expect(again.length).toBeLessThanOrEqual(2 * (CONCURRENCY + 2));
    }
    // A body is published when it is released, and that happened once, whoever died.
    const added = new Map<string, number>();
    for (const queue of ['ends', '_canvas']) {
      for (const [, fields] of await fixture.redis.xrange(`{${prefix}:0}:${queue}:events`, '-', '+')) {
        const event = new Map(fields.flatMap((field, at) => (at % 2 === 0 ? [[field, fields[at + 1]]] : [])));
        const id = event.get('jobId') ?? '';
        if (event.get('event') === 'added' && id.endsWith('.body')) added.set(id, (added.get(id) ?? 0) + 1);
      }
    }
    const bodies = handles.filter((_, at) => POINTS[at]?.[0] !== 'a group').map(({ id }) => `${id}.body`);
    expect(Object.fromEntries(added)).toEqual(Object.fromEntries(bodies.map((id) => [id, 1])));
  }, 400_000);
});
