import { lineOf } from '../flow/ids.js';

/** Failures, decisions and marks of one canvas: as JSON, by the names of the fields that Redis has. */
export interface MemoryRecord {
  readonly fields: Map<string, string>;
  expiresAt: number;
}

/** A dead letter, as JSON. */
export interface MemoryLetter {
  readonly json: string;
  readonly atMs: number;
  retriedAs?: string;
}

/** Notes that a member of a node has ended. */
export function noteOutcome(fields: MemoryRecord['fields'], node: string, nowMs: number): void {
  if (!fields.has(`first:${node}`)) fields.set(`first:${node}`, String(nowMs));
  fields.set(`last:${node}`, String(nowMs));
}

/** How a task, and the nodes above it, are marked as revoked. */
export function revocationsOf(record: MemoryRecord | undefined, id: string): string[] {
  return lineOf(id)
    .map((one) => record?.fields.get(`x:${one}`))
    .filter((mark) => mark !== undefined);
}
