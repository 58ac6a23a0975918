import type { ItemForm } from '../canvas/canvas-data.js';
import type { JsonValue } from '../primitives/json.js';
import type { StoredValues } from './stored-values.js';

/**
 * The arguments of a call that is made for each item of a list, with the list open: each item, and of a starmap each of its
 * arguments, by itself. A list that a task has returned was written as one value.
 *
 * @throws UndecodablePayloadError
 */
export function itemsOf(
  args: readonly JsonValue[],
  each: ItemForm | undefined,
  values: StoredValues,
): readonly JsonValue[] {
  const [list] = args;
  if (each === undefined || list === undefined || args.length > 1 || !values.areRead) return args;
  const items = values.parts(list);
  if (each === 'map' || !Array.isArray(items)) return items === list ? args : [items];
  return [items.map((item) => values.parts(item))];
}
