import type { JsonValue } from '../primitives/json.js';
import { CANVAS_QUEUE } from './ids.js';

/** Where a value lies that a node came to: with the child that returned it, or as the values of all of its members. */
export type ValuePlace =
  | { readonly child: { readonly queue: string; readonly id: string } }
  | { readonly members: string; readonly size: number };

/**
 * In the place of a large value: it stays in the node in which it came about, and the nodes above say only where. Nodes go
 * with their canvas as a whole, so it is there as long as whatever refers to it.
 */
export class ValueRef {
  constructor(readonly place: ValuePlace) {}

  toJSON(): JsonValue {
    return { [SIGN]: this.place } as unknown as JsonValue;
  }
}

/** What is stored of a value. Only nodes refer to others: what a task returned is always what it returned. */
export type StoredValue = JsonValue | ValueRef;

const SIGN = '\u0000at';
const BEGIN = `{${JSON.stringify(SIGN)}:`;

/** Reads the value that a child of a node has stored. */
export function readStored(queue: string, json: string): StoredValue {
  if (queue !== CANVAS_QUEUE || !json.startsWith(BEGIN)) return JSON.parse(json) as JsonValue;
  return new ValueRef((JSON.parse(json) as { [SIGN]: ValuePlace })[SIGN]);
}

/** Whether a value cannot be told from a reference once a node has stored it. */
export function looksLikeRef(json: string): boolean {
  return json.startsWith(BEGIN);
}
