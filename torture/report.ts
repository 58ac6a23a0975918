/** What a run has found, in numbers and words. */
import type { Evidence } from './evidence.js';

/** What became of one canvas. */
export interface Finding {
  /** How to run it alone. */
  readonly label: string;
  readonly scenario: string;
  readonly fault: string;
  /** The command at which the fault struck; absent if it never did. */
  readonly command?: string;
  /** From the fault to the end of everything. */
  readonly recoveryMs?: number;
  readonly wrong: readonly string[];
  readonly evidence?: Evidence;
}

interface Tally {
  canvases: number;
  struck: number;
  readonly recoveriesMs: number[];
}

export class Report {
  canvases = 0;
  wrong = 0;
  readonly begun = Date.now();
  readonly #byPlace = new Map<string, Tally>();
  readonly #byHandler = new Map<string, { jobs: number; runs: number }>();

  constructor(readonly seed: number) {}

  add({ label, scenario, fault, command, recoveryMs, wrong, evidence }: Finding): void {
    this.canvases++;
    const place = `${scenario} ${fault}`;
    const tally = this.#byPlace.get(place) ?? { canvases: 0, struck: 0, recoveriesMs: [] };
    this.#byPlace.set(place, tally);
    tally.canvases++;
    if (command !== undefined) tally.struck++;
    if (recoveryMs !== undefined) tally.recoveriesMs.push(recoveryMs);
    this.#countRuns(evidence);
    if (wrong.length === 0) return;
    this.wrong++;
    process.stdout.write(
      `WRONG ${label} (at ${command ?? 'no command'}), again: npm run torture -- --seed ${this.seed} --case ${label}\n` +
        wrong.map((line) => `  ${line}\n`).join('') +
        (evidence === undefined ? '' : `  ${JSON.stringify(evidence)}\n`),
    );
  }

  summary(): string {
    const seconds = (Date.now() - this.begun) / 1_000;
    const struck = [...this.#byPlace.values()].reduce((sum, tally) => sum + tally.struck, 0);
    return `torture: seed ${this.seed}, ${seconds.toFixed(0)} s, ${this.canvases} canvases, ${struck} faults, ${this.wrong} wrong`;
  }

  #countRuns(evidence: Evidence | undefined): void {
    const ids = new Set<string>();
    for (const { task, id, generation } of evidence?.runs ?? []) {
      const count = this.#byHandler.get(task) ?? { jobs: 0, runs: 0 };
      this.#byHandler.set(task, count);
      count.runs++;
      if (!ids.has(`${id} ${generation}`)) count.jobs++;
      ids.add(`${id} ${generation}`);
    }
  }
}
