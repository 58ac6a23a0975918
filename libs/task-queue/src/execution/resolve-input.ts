import type { Ledger } from '../backend/ledger.js';
import { settledOutcome } from '../chords/built-in-recoveries.js';
import type { MemberOutcome } from '../chords/chord-recovery.js';
import type { TaskFailure } from '../failure/task-failure.js';
import type { InputRef } from '../flow/envelope.js';
import type { JsonValue } from '../primitives/json.js';
import { failuresOf, valuesOf } from '../results/member-lists.js';
import { resolveValue } from '../results/resolve-value.js';
import type { TaskReader } from '../results/task-reader.js';

/** Reads the value that stands in front of a task's stored arguments. */
export async function resolveInput(input: InputRef, ledger: Ledger, reader: TaskReader): Promise<JsonValue> {
  switch (input.from) {
    case 'value':
      return input.value;
    case 'child': {
      const child = await ledger.readChild({ queue: input.queue, id: input.id });
      // The step was added because this value was there; it leaves with its canvas, so it is there still.
      return child.end === 'succeeded' ? resolveValue(child.value, ledger) : null;
    }
    case 'members':
      return membersAs(input.as, await reader.settledOutcomes(input.node, input.size));
    case 'failure':
      return failureWithMembers(input.failure, await reader.settledOutcomes(input.members, input.size));
  }
}

function membersAs(
  form: 'values' | 'successes' | 'outcomes',
  members: readonly MemberOutcome[],
): JsonValue[] {
  switch (form) {
    case 'values':
    case 'successes':
      return members.flatMap((member) => (member.status === 'fulfilled' ? [member.value] : []));
    case 'outcomes':
      return members.map((member) => settledOutcome(member) as unknown as JsonValue);
  }
}

function failureWithMembers(failure: TaskFailure, members: readonly MemberOutcome[]): JsonValue {
  const failures = failuresOf(members);
  return {
    ...failure,
    failures,
    values: valuesOf(members),
    failureCount: failures.length,
  } as unknown as JsonValue;
}
