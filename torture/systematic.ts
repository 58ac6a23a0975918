/** Small canvases, one at a time on each lane, with every fault at every command of their path. */
import type { Role } from './actors.js';
import { faultsOf } from './faults/all.js';
import type { Fault } from './faults/fault.js';
import type { Lane } from './lane.js';
import { pathOf } from './path.js';
import type { Side } from './proxy.js';
import type { Finding, Report } from './report.js';
import type { Scenario } from './scenarios/scenario.js';
import { Strike } from './strike.js';

/** Members of the header of a systematic case. */
const SIZE = 2;

/** A fault at one place of the path of a scenario. */
export interface Case {
  readonly scenario: Scenario;
  readonly path: Role;
  readonly fault: Fault;
  readonly side: Side;
  readonly k: number;
}

export const labelOf = ({ scenario, path, fault, side, k }: Case): string =>
  [scenario.name, path, fault.name, side, k].join('/');

/** Every case of a scenario, after a run that counts its commands. */
export async function casesOf(scenario: Scenario, lane: Lane): Promise<Case[]> {
  const cases: Case[] = [];
  for (const path of scenario.paths) {
    const commands = await count(scenario, path, lane);
    for (const fault of faultsOf(path))
      for (const side of fault.sides)
        for (let k = 1; k <= commands; k++) cases.push({ scenario, path, fault, side, k });
  }
  return cases;
}

let canvases = 0;

/** So often a case is run whose canvas has gone by its time before it could be looked at. */
const MOST_TURNS = 3;

/** Runs one case. What is wrong with it goes into the report. */
export async function run(one: Case, lane: Lane, report: Report): Promise<void> {
  for (let turn = 1; ; turn++) {
    const { hasExpired, ...finding } = await runOnce(one, lane, report);
    if (!hasExpired || turn === MOST_TURNS) return report.add(finding);
    report.missed(finding);
  }
}

async function runOnce(one: Case, lane: Lane, report: Report): Promise<Finding & { hasExpired: boolean }> {
  const id = `case-${++canvases}-x`;
  const begunMs = Date.now();
  const plan = one.scenario.plan(SIZE);
  const { scenario, path, fault, side, k } = one;
  const strike = new Strike(lane, { role: path, fault, side, k, mark: id }, report);
  let found: Pick<Finding, 'wrong' | 'evidence' | 'recoveryMs' | 'slowMs'>;
  try {
    await lane.run(id, plan);
    await lane.quiet(id);
    const recoveryMs = strike.at === undefined ? undefined : Date.now() - strike.at;
    await strike.end();
    // What was held back may have been passed on only now.
    await lane.quiet(id);
    found = { ...(recoveryMs === undefined ? {} : { recoveryMs }), ...(await lane.judge(id, plan)) };
  } catch (error) {
    found = { wrong: [String(error)] };
    await strike.end().catch(() => undefined);
  }
  const hasExpired = found.wrong.length > 0 && (await lane.hasExpired(id, begunMs));
  await lane.tidy();
  if (found.wrong.length === 0) lane.expiry.over(id, labelOf(one));
  const { command } = strike;
  return {
    hasExpired,
    label: labelOf(one),
    scenario: scenario.name,
    fault: fault.name,
    plan,
    ...(command === undefined ? {} : { command }),
    ...found,
  };
}

/** How many commands the path has when nothing happens. */
async function count(scenario: Scenario, path: Role, lane: Lane): Promise<number> {
  const id = `count-${++canvases}-x`;
  const [counted] = lane.playing(path);
  if (counted === undefined) throw new Error(`nobody is a ${path}`);
  counted.proxy.arm({ k: 0, side: 'before', counts: pathOf(id), strike: async () => undefined });
  const plan = scenario.plan(SIZE);
  await lane.run(id, plan);
  await lane.quiet(id);
  const { counted: commands } = counted.proxy;
  counted.proxy.disarm();
  const { wrong } = await lane.judge(id, plan);
  if (wrong.length > 0) throw new Error(`${scenario.name} goes wrong without a fault:\n${wrong.join('\n')}`);
  return commands;
}
