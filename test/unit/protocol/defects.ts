import type { CountingStore } from './counting-store.js';

/** What a planted defect can see. */
export interface Planted {
  /** The command as it should be. */
  readonly command: (...args: readonly unknown[]) => unknown;
  readonly args: readonly unknown[];
  /** Whose command it is: the id of the job, or the name of what is done from outside. */
  readonly by: string | undefined;
  readonly store: CountingStore;
}

/** What commands do instead of what they should, by their names: `ledger.setStage`. */
export type Defects = Readonly<Record<string, (planted: Planted) => unknown>>;
