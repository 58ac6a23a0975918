import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { CanvasSource } from './call-options.js';
import type { GroupData } from './canvas-data.js';
import { canvasDataOf, canvasListOf } from './canvas-node.js';

/**
 * Members side by side. The value is the list of theirs, in definition order; an empty group has the value
 * `[]`, and a group among the members is one member whose value is a list.
 *
 * @throws InvalidCanvasError when an option is none of a group's
 */
export function makeGroup(members: Iterable<CanvasSource>, options: GroupRules = {}): GroupData {
  const odd = Object.keys(options).find((name) => name !== 'failFast');
  if (odd !== undefined) {
    throw new InvalidCanvasError(odd, OF_CHORDS.includes(odd) ? FOR_A_CHORD : 'unknown; known is failFast');
  }
  const { failFast = false } = options;
  return Object.freeze({
    kind: 'group',
    members: canvasListOf(members, 'members'),
    ...(failFast ? { failFast } : {}),
  });
}

/** How a group deals with its header. */
export interface GroupRules {
  readonly failFast?: boolean;
}

const OF_CHORDS: readonly string[] = ['deadline', 'late', 'recovery'];
const FOR_A_CHORD =
  'a group has nothing that could go on with what is there, as the value of a group is that of all its members; ' +
  'make it a chord, chord(members, body, options), whose body returns what is to be its value';

/** The group with one more member at its end. */
export function addMember(group: GroupData, member: CanvasSource): GroupData {
  const added = canvasDataOf(member, `members[${group.members.length}]`);
  return Object.freeze({ ...group, members: Object.freeze([...group.members, added]) });
}
