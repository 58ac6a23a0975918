/** Many canvases at a time, on several workers and producers, while faults come as chance will have it. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../test/support/reference/random.js';
import type { Role } from './actors.js';
import { type Drawn, draw } from './draw.js';
import { FAULTS } from './faults/all.js';
import type { Fault } from './faults/fault.js';
import type { Lane } from './lane.js';
import type { Report } from './report.js';
import { SCENARIOS } from './scenarios/all.js';
import { shuffled } from './shuffle.js';
import { type Aim, Strike } from './strike.js';

/** Canvases between two looks at what became of them, and how many of them are under way at a time. */
const ROUND = 200;
const AT_ONCE = 80;
const UP_TO_COMMANDS = 200;
/** What has ended is looked at when its round is over: one begins no more canvases after this share of the time that they are kept. */
const SHARE_OF_EXPIRY = 1 / 3;
const BETWEEN_FAULTS_MS = 400;
/** So many have to end between two faults: a machine that is slow would do nothing but recover. */
const ENDS_BETWEEN_FAULTS = 4;

/** Publishes a round of canvases under random faults, and looks at each of them when nothing waits or runs any more. */
export async function round(
  lane: Lane,
  random: Random,
  only: string,
  isOver: () => boolean,
  report: Report,
): Promise<void> {
  const drawn = Array.from({ length: ROUND }, () => draw(random, SCENARIOS, only));
  const trouble = new Map<string, string>();
  const unrest = new Unrest(lane, random, report);
  const left = [...drawn];
  const run: (Drawn & { readonly begunMs: number })[] = [];
  const lastMs = Date.now() + lane.keptMs * SHARE_OF_EXPIRY;
  const isEnough = (): boolean => isOver() || Date.now() > lastMs;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let one = left.shift(); one !== undefined && !isEnough(); one = left.shift()) {
        run.push({ ...one, begunMs: Date.now() });
        await lane.run(one.id, one.plan).catch((error: unknown) => trouble.set(one.id, String(error)));
        unrest.ended++;
      }
    }),
  );
  await unrest.end();
  await lane.quiet().catch((error: unknown) => trouble.set('round', String(error)));
  for (const { id, name, plan, begunMs } of run) {
    const why = trouble.get(id) ?? trouble.get('round');
    const found = why === undefined ? await lane.judge(id, plan) : { wrong: [why] };
    const finding = { label: `random ${name} ${id}`, scenario: name, fault: 'random', plan, ...found };
    if (found.wrong.length === 0) lane.expiry.over(id, finding.label);
    if (found.wrong.length > 0 && !trouble.has('round') && (await lane.hasExpired(id, begunMs)))
      report.missed(finding);
    else report.add(finding);
  }
}

/** Disturbs a random process at a random command, again and again. */
class Unrest {
  /** Canvases that have ended so far. */
  ended = 0;
  readonly #running: Promise<void>;
  readonly #over = new AbortController();
  readonly #deck: Fault[] = [];

  constructor(
    private readonly lane: Lane,
    private readonly random: Random,
    private readonly report: Report,
  ) {
    this.#running = this.#disturb();
  }

  async end(): Promise<void> {
    this.#over.abort();
    await this.#running;
  }

  async #disturb(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      const fault = this.#draw();
      const { roles = [this.random() < 0.7 ? 'worker' : 'producer'] } = fault;
      await this.#strike(this.#pick(roles), fault, signal);
      await this.lane.tidy();
      const enough = this.ended + ENDS_BETWEEN_FAULTS;
      do await pause(this.random() * BETWEEN_FAULTS_MS, undefined, { signal }).catch(() => undefined);
      while (this.ended < enough && !signal.aborted);
    }
  }

  /** Waits until the fault has struck and is over, or for too few commands in a while. */
  async #strike(role: Role, fault: Fault, signal: AbortSignal): Promise<void> {
    const most = role === 'worker' ? UP_TO_COMMANDS : UP_TO_COMMANDS / 10;
    const k = 1 + Math.floor(this.random() * most);
    const aim: Aim = { role, fault, side: this.#pick(fault.sides), k, mark: 'case-' };
    const strike = new Strike(this.lane, aim, this.report, Math.floor(this.random() * 100));
    for (let waits = 0; strike.at === undefined && waits < 100 && !signal.aborted; waits++) await pause(20);
    await strike.end();
  }

  /** Every fault comes once before one comes again. */
  #draw(): Fault {
    if (this.#deck.length === 0) this.#deck.push(...shuffled(FAULTS, this.random));
    return this.#deck.pop() as Fault;
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)] as T;
  }
}
