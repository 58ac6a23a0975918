/** Canvases by chance. */
import type { Random } from '../test/support/reference/random.js';
import { referencePlan } from './scenarios/reference.js';
import type { Plan, Scenario } from './scenarios/scenario.js';

/** Members of the widest header. */
const LARGEST = 8;
/** How many random canvases of any shape come on one of each scenario. */
const REFERENCES = 5;

export interface Drawn {
  readonly id: string;
  readonly name: string;
  readonly plan: Plan;
}

let canvases = 0;

/** @param only what the name of its scenario contains */
export function draw(random: Random, all: readonly Scenario[], only = ''): Drawn {
  const id = `case-r${++canvases}-x`;
  const scenarios = [...all, ...Array.from({ length: REFERENCES }, () => undefined)].filter((scenario) =>
    (scenario?.name ?? 'reference').includes(only),
  );
  const scenario = scenarios[Math.floor(random() * scenarios.length)];
  if (scenario !== undefined)
    return { id, name: scenario.name, plan: scenario.plan(2 + Math.floor(random() * (LARGEST - 1))) };
  return { id, name: 'reference', plan: referencePlan(random) };
}
