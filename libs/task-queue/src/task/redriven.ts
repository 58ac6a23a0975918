/** That a task runs in a later generation of its canvas than the first: somebody has redriven it. */
export interface Redriven {
  /** How often the canvas has been redriven. */
  readonly generation: number;
  /**
   * What was run again below the composite that this task follows, as its body, its callback or its errback: the indexes of
   * members or steps, ascending. Empty for every other task.
   */
  readonly changed: readonly number[];
}

/** The generation of a task or composite: 0 unless its canvas was redriven. */
export function generationOf(what: { readonly redriven?: Redriven | undefined }): number {
  return what.redriven?.generation ?? 0;
}

/** The same of a job's data, which anybody may have written; undefined in the first generation. */
export function generationIn(data: unknown): number | undefined {
  const { generation } = (data as { redriven?: { generation?: unknown } } | null | undefined)?.redriven ?? {};
  return Number.isSafeInteger(generation) ? (generation as number) : undefined;
}
