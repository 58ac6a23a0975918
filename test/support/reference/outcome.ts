import type { Headers, Json } from './canvas-model.js';

/** A task that failed for good, or a composite that failed by itself and not by its members: then its name is its kind. */
export type TaskFault = {
  kind: 'task';
  taskName: string;
  /** The message is empty where the library words it. */
  error: { name: string; message: string };
  reason: string;
};

/** A group, or the header of a chord, that ended with failed members: all of them, and all values beside them. */
export type AggregateFault = {
  kind: 'group' | 'chord';
  failures: { index: number; failure: Failure }[];
  values: { index: number; value: Json }[];
};

export type Failure = TaskFault | AggregateFault;

export type Outcome = { ok: true; value: Json } | { ok: false; failure: Failure };

/** One callback that must be recorded exactly once. */
export interface Observation {
  label: string;
  kind: 'link' | 'errback';
  /** The value for a link; the failure, in the form asked for, for an errback. */
  payload: Json;
  /** What it was stamped with, if anything. */
  headers?: Headers;
}

/** The task that a failure comes down to: of an aggregate, the one with the lowest index, at every depth. */
export function causeOf(failure: Failure): TaskFault {
  if (failure.kind === 'task') return failure;
  const [first] = failure.failures;
  if (first === undefined) throw new TypeError('an aggregate without a failed member');
  return causeOf(first.failure);
}

export function aggregate(kind: AggregateFault['kind'], outcomes: readonly Outcome[]): AggregateFault {
  const fault: AggregateFault = { kind, failures: [], values: [] };
  outcomes.forEach((outcome, index) => {
    if (outcome.ok) fault.values.push({ index, value: outcome.value });
    else fault.failures.push({ index, failure: outcome.failure });
  });
  return fault;
}

const AGGREGATE_NAMES = { group: 'GroupError', chord: 'ChordError' } as const;

/**
 * One member in the list that `callback-with-outcomes` hands to the body. An aggregate carries the message of its
 * cause, since the wording of an aggregate's own message is nobody's contract.
 */
export function settledForm(outcome: Outcome): Json {
  if (outcome.ok) return { status: 'fulfilled', value: outcome.value };
  const { failure } = outcome;
  const cause = causeOf(failure);
  const name = failure.kind === 'task' ? failure.error.name : AGGREGATE_NAMES[failure.kind];
  return { status: 'rejected', reason: { name, message: cause.error.message, reason: reasonOf(failure) } };
}

/** An aggregate is an error like any other, unless all of its members were revoked. */
export function reasonOf(failure: Failure): string {
  if (failure.kind === 'task') return failure.reason;
  return failure.failures.every((member) => reasonOf(member.failure) === 'revoked') ? 'revoked' : 'error';
}

/**
 * Applies `project` to every settled record inside a value, innermost first. Real handlers pass their arguments
 * through it, so that fields which the comparison leaves out never reach a task. `project` sees its own results
 * again when a later task receives them, and must leave those as they are.
 */
export function projectSettled(value: Json, project: (record: Record<string, Json>) => Json): Json {
  if (Array.isArray(value)) return value.map((item) => projectSettled(item, project));
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, projectSettled(inner, project)]),
  );
  return copy['status'] === 'fulfilled' || copy['status'] === 'rejected' ? project(copy) : copy;
}

/** Observations in an order that does not depend on which callback ran first. */
export function sortObservations(observations: readonly Observation[]): Observation[] {
  return [...observations].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : orderOf(a) > orderOf(b) ? 1 : 0));
}

const orderOf = ({ label, kind, payload, headers }: Observation): string =>
  JSON.stringify([label, kind, payload, headers]);
