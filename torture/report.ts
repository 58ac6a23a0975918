/** What a run has found, in numbers and words. */
import type { CanvasData } from 'nestjs-task-queue';
import { loadavg } from 'node:os';
import type { Role } from './actors.js';
import type { Evidence } from './evidence.js';
import type { Remains } from './expiry.js';
import type { Plan } from './scenarios/scenario.js';

/** What became of one canvas. */
export interface Finding {
  /** Which one it was; of a systematic case, how to run it alone. */
  readonly label: string;
  readonly scenario: string;
  readonly fault: string;
  readonly plan: Plan;
  /** The command at which the fault struck; absent if it never did. */
  readonly command?: string;
  /** From the fault to the end of everything. */
  readonly recoveryMs?: number;
  readonly wrong: readonly string[];
  /** How long it took, if that was too long and it has ended after all. */
  readonly slowMs?: number;
  readonly evidence?: Evidence;
}

interface Tally {
  canvases: number;
  chords: number;
  readonly recoveriesMs: number[];
}

/** What one fail-over has cost. */
export interface FailOver {
  readonly canvases: number;
  /** How often a canvas was forgotten, and published again. */
  readonly unknown: number;
  /** Runs whose fetch was forgotten. */
  readonly forgotten: number;
  /** Those of them whose handler began only after that of the run that is remembered. */
  readonly late: number;
  /** From the loss of the master to the next one. */
  readonly tookMs: number;
}

export class Report {
  canvases = 0;
  chords = 0;
  wrong = 0;
  /** Canvases of which no key was left when their time was over, and how many had some. */
  gone = 0;
  stayed = 0;
  /** Canvases that had gone before they could be looked at; they are in no other number. */
  unseen = 0;
  /** Jobs that were delivered a second time while somebody had them. */
  deliveries = 0;
  /** What took too long for want of a processor, and has ended after all. */
  readonly slow: { readonly label: string; readonly tookMs: number }[] = [];
  readonly begun = Date.now();
  /** By scenario and fault. */
  readonly places = new Map<string, Tally>();
  /** By the role of the victim and the fault, how often it struck, by command. */
  readonly faults = new Map<string, Map<string, number>>();
  /** By how the master was lost. */
  readonly failovers = new Map<string, FailOver[]>();
  /** By handler: tasks, and how often they ran. */
  readonly handlers = new Map<string, { tasks: number; runs: number }>();

  /** @param keptMs how long results are kept, where it is looked whether they go */
  constructor(
    readonly seed: number,
    readonly keptMs: number,
  ) {}

  struck(role: Role, fault: string, command: string): void {
    const key = `${fault} of a ${role}`;
    const commands = this.faults.get(key) ?? new Map<string, number>();
    this.faults.set(key, commands.set(command, (commands.get(command) ?? 0) + 1));
  }

  deliveredAgain(jobs: number): void {
    this.deliveries += jobs;
  }

  failedOver(how: string, failover: FailOver): void {
    this.failovers.set(how, [...(this.failovers.get(how) ?? []), failover]);
    const { unknown, forgotten, late, tookMs } = failover;
    process.stdout.write(
      `the master was ${how}: the next one after ${tookMs} ms, ${unknown} canvases forgotten, ${forgotten} runs, ${late} of them late\n`,
    );
  }

  /** The suite has tried itself. @param trouble what did not become of it as it should */
  drilled(what: string, trouble: string | undefined): void {
    if (trouble === undefined) return;
    this.wrong++;
    process.stdout.write(`WRONG drill: ${what}: ${trouble}\n`);
  }

  /** Something took too long, and has ended after all. */
  slowed(label: string, tookMs: number | undefined): void {
    if (tookMs === undefined) return;
    this.slow.push({ label, tookMs });
    process.stdout.write(
      `SLOW ${label}: ${(tookMs / 1_000).toFixed(0)} s, at a load of ${loadavg()[0]?.toFixed(1)}\n`,
    );
  }

  add({ label, scenario, fault, plan, command, recoveryMs, wrong, slowMs, evidence }: Finding): void {
    const chords = chordsIn(plan.canvas);
    this.canvases++;
    this.chords += chords;
    const place = `${scenario}|${fault}`;
    const tally = this.places.get(place) ?? { canvases: 0, chords: 0, recoveriesMs: [] };
    this.places.set(place, tally);
    tally.canvases++;
    tally.chords += chords;
    if (recoveryMs !== undefined) tally.recoveriesMs.push(recoveryMs);
    this.#countRuns(evidence);
    this.slowed(label, slowMs);
    if (wrong.length === 0) return;
    this.wrong++;
    const again = label.includes(' ') ? '' : ` --case ${label}`;
    process.stdout.write(
      `WRONG ${label} (at ${command ?? 'no command'}), again: npm run torture -- --seed ${this.seed}${again}\n` +
        linesOf(wrong) +
        (evidence === undefined ? '' : `  ${JSON.stringify(evidence)}\n`),
    );
  }

  /** A canvas was not looked at before its time was over, because the machine was too slow for that. */
  missed({ label, wrong }: Finding): void {
    this.unseen++;
    process.stdout.write(`TOO LATE ${label}: it had gone before it was looked at\n${linesOf(wrong)}`);
  }

  /** Canvases whose time is over, and what is still there. */
  expired({ gone, left, slowMs }: Remains): void {
    this.gone += gone;
    this.slowed('expiry', slowMs);
    if (left.length === 0) return;
    this.stayed += left.length;
    this.wrong += left.length;
    process.stdout.write(
      `WRONG expiry: keys are left of ${left.length} canvases\n${linesOf(left.slice(0, 20))}`,
    );
  }

  get struckTimes(): number {
    return [...this.faults.values()].flatMap((commands) => [...commands.values()]).reduce((a, b) => a + b, 0);
  }

  summary(): string {
    const seconds = (Date.now() - this.begun) / 1_000;
    return (
      `torture: seed ${this.seed}, ${seconds.toFixed(0)} s, ${this.canvases} canvases with ${this.chords} chords, ` +
      `${this.struckTimes} faults, ${this.wrong} wrong, ${this.gone} gone after their time${this.slow.length === 0 ? '' : `, ${this.slow.length} slow`}`
    );
  }

  #countRuns(evidence: Evidence | undefined): void {
    const seen = new Set<string>();
    for (const { task, id, generation, item } of evidence?.runs ?? []) {
      const count = this.handlers.get(task) ?? { tasks: 0, runs: 0 };
      this.handlers.set(task, count);
      count.runs++;
      const one = `${id} ${generation} ${item}`;
      if (!seen.has(one)) count.tasks++;
      seen.add(one);
    }
  }
}

const linesOf = (lines: readonly string[]): string => lines.map((line) => `  ${line}\n`).join('');

function chordsIn(canvas: CanvasData): number {
  const inside = partsOf(canvas).reduce((sum, part) => sum + chordsIn(part), 0);
  return inside + (canvas.kind === 'chord' ? 1 : 0);
}

function partsOf(canvas: CanvasData): readonly CanvasData[] {
  switch (canvas.kind) {
    case 'task':
      return [];
    case 'chain':
      return canvas.steps;
    case 'group':
      return canvas.members;
    case 'chord':
      return [...canvas.header, canvas.body];
  }
}
