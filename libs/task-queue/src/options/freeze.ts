import { isPlainObject } from './option-readers.js';

/** Freezes literals and lists all the way down. Functions and instances of classes stay as they are. */
export function deepFreeze<T>(value: T): T {
  if (Array.isArray(value) || isPlainObject(value)) {
    for (const member of Object.values(value)) deepFreeze(member);
    return Object.freeze(value);
  }
  return value;
}

/** A map that cannot be changed; `Object.freeze` alone would still let `set` through. */
export function frozenMap<K, V>(entries: Iterable<readonly [K, V]>): ReadonlyMap<K, V> {
  const map = new Map(entries);
  for (const value of map.values()) deepFreeze(value);
  const refuse = (): never => {
    throw new TypeError('These options were read once and cannot be changed any more.');
  };
  return Object.freeze(Object.assign(map, { set: refuse, delete: refuse, clear: refuse }));
}
