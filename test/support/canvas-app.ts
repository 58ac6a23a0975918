import type { AsyncResult, TaskFailure, TasksOf, WorkflowService } from 'nestjs-task-queue';
import { Probe, startApp, type StartedApp } from './canvas-runner.js';
import { CanvasTasks, Callbacks, HookedTasks, TwoOfThree, Broken } from './canvas-tasks.js';

export let app: StartedApp;
export let workflows: WorkflowService;
export let probe: Probe;
export let tasks: TasksOf<CanvasTasks>;
export let callbacks: TasksOf<Callbacks>;
export let hooked: TasksOf<HookedTasks>;

/** Starts the application for the tests of this file. */
export function useCanvasApp(): void {
  beforeAll(async () => {
    app = await startApp([Probe, CanvasTasks, Callbacks, HookedTasks, TwoOfThree, Broken], {
      queues: { default: { concurrency: 30 }, errors: {}, slow: { concurrency: 5 } },
    });
    workflows = app.workflows;
    probe = app.module.get(Probe);
    tasks = workflows.tasks(CanvasTasks);
    callbacks = workflows.tasks(Callbacks);
    hooked = workflows.tasks(HookedTasks);
  });
  afterAll(() => app.close());
}

export const quiet = (): Promise<void> => app.quiet('errors', 'slow');
/** Waits until a canvas has failed and everything that it released has run. */
export async function failureOf(canvas: AsyncResult<unknown, unknown>): Promise<TaskFailure> {
  await canvas.get({ propagate: false, timeout: '60s' });
  await quiet();
  const failure = await canvas.failure();
  if (failure === undefined) throw new Error(`${canvas.id} is ${await canvas.state()}`);
  return failure;
}
export const errbacksOf = (canvas: { id: string }): TaskFailure[] =>
  probe.argsOf('failed', canvas).map(([failure]) => failure as unknown as TaskFailure);
export const labelsOf = (canvas: { id: string }, task: 'linked' | 'failed' = 'failed'): string[] =>
  probe
    .argsOf(task, canvas)
    .map(([, label]) => (typeof label === 'string' ? label : ''))
    .sort();
export const errback = (label: string) => callbacks.failed.s(label);
export const link = (label: string) => callbacks.linked.s(label);
