import type { JobRef } from '../backend/job-ref.js';
import type { Ledger } from '../backend/ledger.js';
import { looksLikeRef, type StoredValue, ValueRef } from '../flow/stored-value.js';
import type { JsonValue } from '../primitives/json.js';

/*
 * What a composite comes to. A small value travels with it; a large one stays where it was returned, and the composite
 * holds where that is.
 */

/** What a node comes to whose value is that of a child: a large one stays with the child. */
export function keptValue(value: StoredValue, { queue, id }: JobRef, inlineCharacters: number): StoredValue {
  if (value instanceof ValueRef) return value;
  const json = JSON.stringify(value);
  const mayTravel = json.length <= inlineCharacters && !looksLikeRef(json);
  return mayTravel ? value : new ValueRef({ child: { queue, id } });
}

/** The list of the values of all members; where it would be large, it stays what its members returned. */
export async function listOfMembers(
  ledger: Ledger,
  id: string,
  size: number,
  inlineCharacters: number,
): Promise<StoredValue> {
  const values: JsonValue[] = [];
  let length = 2;
  for await (const { members } of ledger.membersInOrder(id, size)) {
    for (const member of members) {
      const value = 'value' in member ? member.value : null;
      length += JSON.stringify(value).length + 1;
      if (value instanceof ValueRef || length > inlineCharacters) return new ValueRef({ members: id, size });
      values.push(value);
    }
  }
  return values;
}
