import { nodesOf, type Headers, type Json, type Ref } from './canvas-model.js';
import {
  aggregate,
  type AggregateFault,
  reasonOf,
  settledForm,
  type Failure,
  type Observation,
  type Outcome,
} from './outcome.js';
import {
  placed,
  type Callback,
  type Placed,
  type PlacedChord,
  type PlacedGroup,
  type PlacedTask,
} from './places.js';
import { decide } from './recovery.js';
import { MAX_RETRIES, runTask, TROUBLES } from './tasks.js';

export interface InterpretOptions {
  /** One member as `callback-with-outcomes` shows it to the body. Defaults to `settledForm`. */
  settledForm?: (outcome: Outcome) => Json;
  /** What an errback records of a failure. Defaults to the whole failure. */
  failureForm?: (failure: Failure) => Json;
  /** What the body of `callback-with-outcomes` gets when no member failed. Defaults to 'values'. */
  outcomesWhenHeaderSucceeds?: 'values' | 'outcomes';
  /** How a revocation went, where there was one: when it comes decides how much of a canvas still runs. */
  witness?: Witness;
}

/**
 * Tells which of the admissible ends a run with a revocation in it has taken. Nodes are named by their places. Whatever
 * is not asked here follows from the answers.
 */
export interface Witness {
  /** Whether a node came to its end by being revoked itself, and not by what became of its parts. */
  revoked(place: string): boolean;
  /** Whether anything under this place was begun. */
  began(place: string): boolean;
  /** How often a revoked task was run before. */
  runs(key: string): number;
}

export interface Interpretation {
  outcome: Outcome;
  /** In the order of a depth-first run; a real run keeps the same set in any order. */
  observations: Observation[];
  /** Calls of each handler, re-runs included, by `<place> <task>`; a task that never ran is absent. */
  runs: Record<string, number>;
  /**
   * The hooks that ran at tasks' final failures, by `<place> <task>` of what the failure comes from: a task that was
   * replaced has the failure of what took its place, and a hook of its own.
   */
  hooks: Record<string, string>;
  /** What each task that ran was stamped with, if anything, by `<place> <task>`. */
  stamps: Record<string, Headers>;
  /** Whether each node and job that came to its turn succeeded, by its place. */
  successes: Record<string, boolean>;
}

export type HookKind = 'failure' | 'revoked';

interface Run extends Required<Omit<InterpretOptions, 'witness'>>, Omit<Interpretation, 'outcome'> {
  witness: Witness | undefined;
  /** Where each failure comes from. */
  origins: Map<Failure, string>;
  /** What has been added to the group that is led now. */
  added: Placed[];
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
    witness: undefined,
    ...options,
    observations: [],
    runs: {},
    hooks: {},
    stamps: {},
    successes: {},
    origins: new Map(),
    added: [],
  };
  const root = placed(canvas);
  const outcome = evaluate(root, input, run);
  const { observations, runs, hooks, stamps, successes } = run;
  return {
    outcome: isIgnored(root) && outcome.ok ? { ok: true, value: null } : outcome,
    observations,
    runs,
    hooks,
    stamps,
    successes,
  };
}

/** What nobody waits for is not kept, if its task says so. */
function isIgnored(root: Placed): boolean {
  return root.kind === 'task' && root.ref.ignoreResult === true && root.job === root.place;
}

/** Runs one node and then its own callbacks: every node that ran has exactly one outcome, and says so once. */
function evaluate(node: Placed, input: Json | undefined, run: Run): Outcome {
  const outcome = outcomeOf(node, input, run);
  run.successes[node.place] = outcome.ok;
  if (outcome.ok) record(node.links, 'link', outcome.value, run);
  else record(node.errbacks, 'errback', run.failureForm(outcome.failure), run);
  return outcome;
}

function outcomeOf(node: Placed, input: Json | undefined, run: Run): Outcome {
  switch (node.kind) {
    case 'task':
      return leadTask(node, input, run);
    case 'chain':
      return orRevoked(node, run, followSteps(node.steps, input, run));
    case 'group':
      return orRevoked(node, run, collect(node, input, run));
    case 'chord':
      return orRevoked(node, run, joinChord(node, input, run));
    default:
      return node satisfies never;
  }
}

/** A composite that has been revoked begins nothing more, whatever its parts have come to by then. */
function orRevoked({ kind, place }: Placed, run: Run, outcome: Outcome): Outcome {
  return run.witness?.revoked(place) === true ? failed(`${place} ${kind}`, revokedFault(kind), run) : outcome;
}

/** A task with callbacks is a node of its own, which may be revoked while its job was not. */
function leadTask(node: PlacedTask, input: Json | undefined, run: Run): Outcome {
  const outcome = executeTask(node, input, run);
  run.successes[node.job] = outcome.ok;
  return node.job === node.place ? outcome : orRevoked(node, run, outcome);
}

function executeTask(node: PlacedTask, input: Json | undefined, run: Run): Outcome {
  const { ref, job, by } = node;
  const { name, args, immutable } = ref;
  const key = keyOf(node);
  const trouble = TROUBLES[name];
  const end = (outcome: Outcome): Outcome => {
    if (outcome.ok || trouble?.known === false) return outcome;
    const origin = run.origins.get(outcome.failure) ?? key;
    const kind: HookKind = reasonOf(outcome.failure) === 'revoked' ? 'revoked' : 'failure';
    run.hooks[origin] = origin in run.hooks ? `${run.hooks[origin]}, ${kind}` : kind;
    return outcome;
  };
  const fail = (failure: Failure): Outcome => end(failed(key, failure, run));
  if (run.witness?.revoked(job) === true) {
    const runs = run.witness.runs(key);
    if (runs > 0) note(node, runs, run);
    return fail(revokedFault(name));
  }
  if (trouble?.runs === false) return fail(faultOf(name, trouble.error, '', trouble.reason));
  if (by !== undefined) {
    note(node, 1, run);
    return end(evaluate(by, undefined, run));
  }
  if (ref.adds !== undefined) {
    if (node.adds === undefined && ref.adds.length > 0) {
      note(node, 1, run);
      return fail(faultOf(name, 'CannotAddMemberError'));
    }
    run.added.push(...(node.adds ?? []));
  }
  const received = immutable === true || input === undefined ? args : [input, ...args];
  const calls = ref.each === undefined ? [received] : itemsOf(received);
  if (calls === undefined) return fail(faultOf(name, 'InvalidArgumentsError'));
  const values: Json[] = [];
  for (let attempt = 1; ; attempt += 1) {
    try {
      for (let call = calls[values.length]; call !== undefined; call = calls[values.length]) {
        const item = ref.each === 'starmap' ? call[0] : call;
        if (!Array.isArray(item)) return fail(faultOf(name, 'InvalidArgumentsError'));
        note(node, 1, run);
        if (name === 'ignore') return { ok: true, value: null };
        if (trouble !== undefined) return fail(faultOf(name, trouble.error, trouble.message, trouble.reason));
        values.push(name === 'headers' ? node.headers : runTask(name, item, attempt));
      }
      return { ok: true, value: ref.each === undefined ? (values[0] ?? null) : values };
    } catch (thrown) {
      if (attempt <= (MAX_RETRIES[name] ?? 0)) continue;
      if (!(thrown instanceof Error)) throw thrown;
      return fail(faultOf(name, thrown.name, thrown.message));
    }
  }
}

/** The lists of arguments of a task that is called for each item, or undefined where it got no list. */
function itemsOf(received: readonly Json[]): Json[][] | undefined {
  const [items] = received;
  return received.length === 1 && Array.isArray(items) ? items.map((item) => [item]) : undefined;
}

function note(node: PlacedTask, times: number, run: Run): void {
  const key = keyOf(node);
  run.runs[key] = (run.runs[key] ?? 0) + times;
  if (Object.keys(node.headers).length > 0) run.stamps[key] = node.headers;
}

/** What a task's calls are counted under. */
function keyOf({ job, ref }: PlacedTask): string {
  return `${job} ${ref.name}`;
}

function followSteps(steps: readonly Placed[], input: Json | undefined, run: Run): Outcome {
  let value = input;
  for (const [index, step] of steps.entries()) {
    if (index > 0 && run.witness?.began(step.place) === false) break;
    const outcome = evaluate(step, value, run);
    if (!outcome.ok) return outcome;
    value = outcome.value;
  }
  return { ok: true, value: value ?? null };
}

/** All members have ended before this is asked: a failing member stops none of the others. */
function collect({ place, members }: PlacedGroup, input: Json | undefined, run: Run): Outcome {
  const outcomes = evaluateAll(members, input, run);
  return outcomes.every((outcome) => outcome.ok)
    ? { ok: true, value: successesOf(outcomes) }
    : membersFailed('group', place, outcomes, run);
}

/** Members, and what they add: behind all of them, in the order of the calls, with nothing put in front. */
function evaluateAll(members: readonly Placed[], input: Json | undefined, run: Run): Outcome[] {
  const { added: around } = run;
  run.added = [];
  const outcomes = members.map((member) => evaluate(member, input, run));
  for (const member of run.added) outcomes.push(evaluate(member, undefined, run));
  run.added = around;
  return outcomes;
}

function joinChord(chord: PlacedChord, input: Json | undefined, run: Run): Outcome {
  const header = evaluateAll(chord.header, input, run);
  const body = (value: Json | undefined): Outcome =>
    run.witness?.began(chord.body.place) === false
      ? { ok: true, value: null }
      : evaluate(chord.body, value, run);
  const outcomes = (): Json => header.map(run.settledForm);
  if (header.every((outcome) => outcome.ok)) {
    const shown =
      chord.recovery === 'callback-with-outcomes' && run.outcomesWhenHeaderSucceeds === 'outcomes';
    return body(shown ? outcomes() : successesOf(header));
  }
  const decision = decide(chord.recovery, header);
  switch (decision.run) {
    case 'errback':
      return membersFailed('chord', chord.place, header, run);
    case 'fail':
      return failed(`${chord.place} chord`, faultOf('chord', decision.error, decision.message), run);
    case 'successes':
      return body(successesOf(header));
    case 'outcomes':
      return body(outcomes());
    case 'callback':
      return body(decision.arg);
    default:
      return decision satisfies never;
  }
}

function record(callbacks: readonly Callback[], kind: Observation['kind'], payload: Json, run: Run): void {
  for (const { label, headers } of callbacks) {
    const stamps = Object.keys(headers).length > 0 ? { headers } : {};
    run.observations.push({ label, kind, payload, ...stamps });
  }
}

function membersFailed(
  kind: AggregateFault['kind'],
  place: string,
  outcomes: readonly Outcome[],
  run: Run,
): Outcome {
  return failed(`${place} ${kind}`, aggregate(kind, outcomes), run);
}

function failed(origin: string, failure: Failure, { origins }: Run): Outcome {
  origins.set(failure, origin);
  return { ok: false, failure };
}

function faultOf(taskName: string, name: string, message = '', reason = 'error'): Failure {
  return { kind: 'task', taskName, error: { name, message }, reason };
}

function revokedFault(taskName: string): Failure {
  return faultOf(taskName, 'TaskRevokedError', '', 'revoked');
}

function successesOf(outcomes: readonly Outcome[]): Json[] {
  return outcomes.flatMap((outcome) => (outcome.ok ? [outcome.value] : []));
}

function refuseEmptyChains(canvas: Ref): void {
  for (const node of nodesOf(canvas)) {
    if (node.kind === 'chain' && node.steps.length === 0) throw new RangeError('a chain needs a step');
  }
}
