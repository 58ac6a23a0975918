import type { Random } from '../test/support/reference/random.js';

/** The same items in an order by chance. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** The same items, one of each kind after the other for as long as there are any of it. */
export function inTurns<T>(items: readonly T[], kindOf: (item: T) => unknown): T[] {
  const seen = new Map<unknown, number>();
  return items
    .map((item) => {
      const kind = kindOf(item);
      const turn = seen.get(kind) ?? 0;
      seen.set(kind, turn + 1);
      return { item, turn };
    })
    .sort((a, b) => a.turn - b.turn)
    .map(({ item }) => item);
}
