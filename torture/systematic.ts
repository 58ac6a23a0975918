/** Small canvases, one at a time on each lane, with every fault at every command of their path. */
import type { Role } from './actors.js';
import { wrongWith } from './checks.js';
import { FAULTS } from './faults/all.js';
import type { Fault } from './faults/fault.js';
import type { Lane } from './lane.js';
import { nameOf, pathOf } from './path.js';
import type { Side } from './proxy.js';
import type { Finding, Report } from './report.js';
import type { Scenario } from './scenarios/scenario.js';

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
    for (const fault of FAULTS)
      for (const side of fault.sides)
        for (let k = 1; k <= commands; k++) cases.push({ scenario, path, fault, side, k });
  }
  return cases;
}

let canvases = 0;

/** Runs one case. What is wrong with it goes into the report. */
export async function run(one: Case, lane: Lane, report: Report): Promise<void> {
  const id = `case-${++canvases}-x`;
  const [victim] = lane.playing(one.path);
  if (victim === undefined) throw new Error(`nobody is a ${one.path}`);
  let finding: Finding = {
    label: labelOf(one),
    scenario: one.scenario.name,
    fault: one.fault.name,
    wrong: [],
  };
  let struckAt: number | undefined;
  let struck: Promise<void> = Promise.resolve();
  victim.proxy.arm({
    k: one.k,
    side: one.side,
    counts: pathOf(id),
    strike: (command, line) => {
      struckAt = Date.now();
      finding = { ...finding, command: nameOf(command) };
      struck = one.fault.strike({ victim, line, relieve: () => lane.relieve(one.path, victim) });
      return struck;
    },
  });
  const plan = one.scenario.plan(SIZE);
  try {
    await lane.run(id, plan);
    await lane.quiet();
    const recoveryMs = struckAt === undefined ? undefined : Date.now() - struckAt;
    await struck;
    // What was held back may have been passed on only now.
    await lane.quiet();
    const evidence = await lane.evidence(id);
    finding = {
      ...finding,
      ...(recoveryMs === undefined ? {} : { recoveryMs }),
      wrong: wrongWith(plan, evidence),
      evidence,
    };
  } catch (error) {
    finding = { ...finding, wrong: [String(error)] };
  }
  victim.proxy.disarm();
  await struck.catch(
    (error: unknown) => (finding = { ...finding, wrong: [...finding.wrong, String(error)] }),
  );
  await lane.tidy();
  report.add(finding);
}

/** How many commands the path has when nothing happens. */
async function count(scenario: Scenario, path: Role, lane: Lane): Promise<number> {
  const id = `count-${++canvases}-x`;
  const [counted] = lane.playing(path);
  if (counted === undefined) throw new Error(`nobody is a ${path}`);
  counted.proxy.arm({ k: 0, side: 'before', counts: pathOf(id), strike: async () => undefined });
  await lane.run(id, scenario.plan(SIZE));
  await lane.quiet();
  const { counted: commands } = counted.proxy;
  counted.proxy.disarm();
  await lane.evidence(id);
  return commands;
}
