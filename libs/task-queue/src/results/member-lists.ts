import type { MemberOutcome } from '../chords/chord-recovery.js';
import type { MemberFailure, MemberValue } from '../failure/task-failure.js';

/** The failed members of a node, as a failure record lists them. */
export function failuresOf(members: readonly MemberOutcome[]): MemberFailure[] {
  return members.flatMap((member) =>
    member.status === 'rejected' ? [{ index: member.index, failure: member.failure }] : [],
  );
}

/** The members of a node that returned, as a failure record lists them. */
export function valuesOf(members: readonly MemberOutcome[]): MemberValue[] {
  return members.flatMap((member) =>
    member.status === 'fulfilled' ? [{ index: member.index, value: member.value }] : [],
  );
}
