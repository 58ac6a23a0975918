import { nodesOf, type ChordRef, type Json, type Ref, type TaskName, type TaskRef } from './canvas-model.js';
import { aggregate, settledForm, type Failure, type Observation, type Outcome } from './outcome.js';
import { MAX_RETRIES, runTask } from './tasks.js';

export interface InterpretOptions {
  /** One member as `callback-with-outcomes` shows it to the body. Defaults to `settledForm`. */
  settledForm?: (outcome: Outcome) => Json;
  /** What an errback records of a failure. Defaults to the whole failure. */
  failureForm?: (failure: Failure) => Json;
  /** What the body of `callback-with-outcomes` gets when no member failed. Defaults to 'values'. */
  outcomesWhenHeaderSucceeds?: 'values' | 'outcomes';
  /**
   * An errback on a chord's body is the chord's own. When that body is itself a chord and is skipped: does the
   * errback on the inner body count as linked to the inner chord, and run, or is it skipped with it?
   * Defaults to 'skipped'.
   */
  errbackOfInnerBody?: 'skipped' | 'runs';
}

export interface Interpretation {
  outcome: Outcome;
  /** In the order of a depth-first run; a real run keeps the same set in any order. */
  observations: Observation[];
  /** Executions of each task, re-runs included; a task that never ran is absent. */
  runs: Partial<Record<TaskName, number>>;
}

interface Run extends Required<InterpretOptions> {
  observations: Observation[];
  runs: Partial<Record<TaskName, number>>;
}

/**
 * What a canvas must do, by the written semantics alone: one node after the other, in memory, with no clock.
 * `input` is the value given to the canvas as a whole; leaving it out is not the same as giving null.
 */
export function interpret(canvas: Ref, input?: Json, options: InterpretOptions = {}): Interpretation {
  refuseEmptyChains(canvas);
  const run: Run = {
    settledForm,
    failureForm: (failure) => failure,
    outcomesWhenHeaderSucceeds: 'values',
    errbackOfInnerBody: 'skipped',
    ...options,
    observations: [],
    runs: {},
  };
  const outcome = evaluate(canvas, input, run);
  return { outcome, observations: run.observations, runs: run.runs };
}

/** Runs one node and then its own callbacks: every node that ran has exactly one outcome, and says so once. */
function evaluate(ref: Ref, input: Json | undefined, run: Run): Outcome {
  const outcome = outcomeOf(ref, input, run);
  if (!outcome.ok) {
    recordErrback(ref, outcome.failure, run);
  } else if (ref.link !== undefined) {
    run.observations.push({ label: ref.link, kind: 'link', payload: outcome.value });
  }
  return outcome;
}

function outcomeOf(ref: Ref, input: Json | undefined, run: Run): Outcome {
  switch (ref.kind) {
    case 'task':
      return executeTask(ref, input, run);
    case 'chain':
      return followSteps(ref.steps, input, run);
    case 'group':
      return collect(ref.members.map((member) => evaluate(member, input, run)));
    case 'chord':
      return joinChord(ref, input, run);
    default:
      return ref satisfies never;
  }
}

function executeTask({ name, args, immutable }: TaskRef, input: Json | undefined, run: Run): Outcome {
  const received = immutable === true || input === undefined ? args : [input, ...args];
  for (let attempt = 1; ; attempt += 1) {
    run.runs[name] = (run.runs[name] ?? 0) + 1;
    try {
      return { ok: true, value: runTask(name, received, attempt) };
    } catch (thrown) {
      if (attempt <= MAX_RETRIES[name]) continue;
      if (!(thrown instanceof Error)) throw thrown;
      const error = { name: thrown.name, message: thrown.message };
      return { ok: false, failure: { kind: 'task', taskName: name, error, reason: 'error' } };
    }
  }
}

function followSteps(steps: readonly Ref[], input: Json | undefined, run: Run): Outcome {
  let value = input;
  for (const step of steps) {
    const outcome = evaluate(step, value, run);
    if (!outcome.ok) return outcome;
    value = outcome.value;
  }
  return { ok: true, value: value ?? null };
}

/** All members have ended before this is asked: a failing member stops none of the others. */
function collect(outcomes: readonly Outcome[]): Outcome {
  if (!outcomes.every((outcome) => outcome.ok)) {
    return { ok: false, failure: aggregate('group', outcomes) };
  }
  return { ok: true, value: successesOf(outcomes) };
}

function joinChord(chord: ChordRef, input: Json | undefined, run: Run): Outcome {
  const header = chord.header.map((member) => evaluate(member, input, run));
  const succeeded = header.every((outcome) => outcome.ok);
  if (!succeeded && chord.recovery === 'errback-only') {
    const failure = aggregate('chord', header);
    recordErrbackOfSkippedBody(chord.body, failure, run);
    return { ok: false, failure };
  }
  const showsOutcomes =
    chord.recovery === 'callback-with-outcomes' &&
    (!succeeded || run.outcomesWhenHeaderSucceeds === 'outcomes');
  return evaluate(chord.body, showsOutcomes ? header.map(run.settledForm) : successesOf(header), run);
}

function recordErrbackOfSkippedBody(body: Ref, failure: Failure, run: Run): void {
  recordErrback(body, failure, run);
  if (body.kind === 'chord' && run.errbackOfInnerBody === 'runs') {
    recordErrbackOfSkippedBody(body.body, failure, run);
  }
}

function recordErrback({ errback }: Ref, failure: Failure, run: Run): void {
  if (errback === undefined) return;
  run.observations.push({ label: errback, kind: 'errback', payload: run.failureForm(failure) });
}

function successesOf(outcomes: readonly Outcome[]): Json[] {
  return outcomes.flatMap((outcome) => (outcome.ok ? [outcome.value] : []));
}

function refuseEmptyChains(canvas: Ref): void {
  for (const node of nodesOf(canvas)) {
    if (node.kind === 'chain' && node.steps.length === 0) throw new RangeError('a chain needs a step');
  }
}
