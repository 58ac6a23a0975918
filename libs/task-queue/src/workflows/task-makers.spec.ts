import type { CanvasData } from '../canvas/canvas-data.js';
import type { CanvasPublisher } from './port.js';
import { createTaskMakers } from './task-makers.js';

interface MathTasks {
  add(a: number, b: number): number;
  double(value: number): number;
}

const calls: CanvasData[] = [];
const publisher = {
  clock: { wallMs: () => 0 },
  publish: async (canvas: CanvasData) => void calls.push(canvas),
} as unknown as CanvasPublisher;
const task = (...args: unknown[]): object => ({ kind: 'task', task: 'Math.double', args, taskQueue: 'math' });

describe('createTaskMakers', () => {
  const makers = createTaskMakers<MathTasks & { missing(): void }>(
    new Map([['double', { name: 'Math.double', queue: 'math' }]]),
    publisher,
    'MathTasks',
  );

  it('names the task, and the queue that it declares', async () => {
    expect(makers.double.taskName).toBe('Math.double');
    expect(makers.double.s(1).toJSON()).toEqual(task(1));
    await makers.double.applyAsync([1], { queue: 'other' });
    expect(calls.at(-1)).toEqual({ ...task(1), options: { queue: 'other' } });
    await makers.double.delay(4);
    expect(calls.at(-1)).toEqual(task(4));
  });

  it('refuses a method that is no task as soon as it is asked for', () => {
    expect(() => makers.missing).toThrow(
      'MathTasks has no task method "missing". Its tasks are double; another method becomes one with @Task().',
    );
    const none = createTaskMakers<MathTasks>(new Map(), publisher, 'Plain');
    expect(() => none.add).toThrow('Plain has no task method "add". None of its methods carries @Task().');
  });

  it('can be awaited, printed and listed', async () => {
    expect(await Promise.resolve(makers)).toBe(makers);
    expect(Object.keys(makers)).toEqual(['double']);
    expect(`${Object.prototype.toString.call(makers)}`).toBe('[object Object]');
    expect(JSON.stringify(makers)).toBe('{"double":{"taskName":"Math.double"}}');
    expect((makers as unknown as { onModuleInit?: unknown }).onModuleInit).toBeUndefined();
  });
});
