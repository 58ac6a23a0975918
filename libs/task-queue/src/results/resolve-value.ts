import type { Ledger } from '../backend/ledger.js';
import { type StoredValue, ValueRef } from '../flow/stored-value.js';
import type { JsonValue } from '../primitives/json.js';

/** A value is not there any more: its canvas is being removed. */
export class ValueGone extends Error {}

/**
 * The value itself, read from where it lies.
 *
 * @throws ValueGone
 */
export async function resolveValue(
  stored: StoredValue,
  ledger: Pick<Ledger, 'readChild' | 'membersInOrder'>,
): Promise<JsonValue> {
  if (!(stored instanceof ValueRef)) return stored;
  const { place } = stored;
  if ('child' in place) {
    const child = await ledger.readChild(place.child);
    if (child.end !== 'succeeded') throw new ValueGone(`the value of ${place.child.id} is gone`);
    return resolveValue(child.value, ledger);
  }
  const values: JsonValue[] = [];
  for await (const { members } of ledger.membersInOrder(place.members, place.size)) {
    for (const member of members) {
      if ('value' in member) values.push(await resolveValue(member.value, ledger));
    }
  }
  if (values.length !== place.size) throw new ValueGone(`values of ${place.members} are gone`);
  return values;
}
