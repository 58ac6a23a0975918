import type { Json, Ref, TaskName } from '../../support/reference/canvas-model.js';
import { interpret, type InterpretOptions } from '../../support/reference/interpret.js';
import type { Failure, TaskFault } from '../../support/reference/outcome.js';

/** The value of a canvas that must succeed. */
export function valueOf(canvas: Ref, input?: Json, options?: InterpretOptions): Json {
  const { outcome } = interpret(canvas, input, options);
  if (!outcome.ok) throw new Error(`the canvas failed: ${JSON.stringify(outcome.failure)}`);
  return outcome.value;
}

/** The failure of a canvas that must fail. */
export function failureOf(canvas: Ref, input?: Json): Failure {
  const { outcome } = interpret(canvas, input);
  if (outcome.ok) throw new Error(`the canvas succeeded: ${JSON.stringify(outcome.value)}`);
  return outcome.failure;
}

/** Each callback that ran, as 'label link' or 'label errback', sorted. */
export const callbacksOf = (canvas: Ref, options?: InterpretOptions): string[] =>
  interpret(canvas, undefined, options)
    .observations.map(({ label, kind }) => `${label} ${kind}`)
    .sort();

/** What each callback received, by label. */
export const payloadsOf = (canvas: Ref): Record<string, Json> =>
  Object.fromEntries(interpret(canvas).observations.map(({ label, payload }) => [label, payload]));

/** How often each handler ran, wherever it stands. */
export function runsOf(canvas: Ref): Partial<Record<TaskName, number>> {
  const runs: Partial<Record<TaskName, number>> = {};
  for (const [key, times] of Object.entries(interpret(canvas).runs)) {
    const name = key.slice(key.indexOf(' ') + 1) as TaskName;
    runs[name] = (runs[name] ?? 0) + times;
  }
  return runs;
}

/** The failure of `fail(tag)`. */
export const boom = (tag: string): TaskFault => ({
  kind: 'task',
  taskName: 'fail',
  error: { name: 'Error', message: `boom ${tag}` },
  reason: 'error',
});
