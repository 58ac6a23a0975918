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
