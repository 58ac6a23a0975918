import type { CanvasSource } from './call-options.js';
import type { GroupData } from './canvas-data.js';
import { canvasDataOf, canvasListOf } from './canvas-node.js';

/**
 * Members side by side. The value is the list of theirs, in definition order; an empty group has the value
 * `[]`, and a group among the members is one member whose value is a list.
 */
export function makeGroup(
  members: Iterable<CanvasSource>,
  { failFast = false }: { readonly failFast?: boolean } = {},
): GroupData {
  return Object.freeze({
    kind: 'group',
    members: canvasListOf(members, 'members'),
    ...(failFast ? { failFast } : {}),
  });
}

/** The group with one more member at its end. */
export function addMember(group: GroupData, member: CanvasSource): GroupData {
  const added = canvasDataOf(member, `members[${group.members.length}]`);
  return Object.freeze({ ...group, members: Object.freeze([...group.members, added]) });
}
