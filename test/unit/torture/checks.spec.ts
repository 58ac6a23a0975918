import { wrongWith } from '../../../torture/checks.js';
import type { Evidence } from '../../../torture/evidence.js';
import type { Plan } from '../../../torture/scenarios/scenario.js';
import { join, redrive } from '../../../torture/scenarios/chords.js';
import type { Run } from '../../../torture/tasks.js';

const ID = 'case-1-x';
const run = (path: string, task: string, attempt: number, more: Partial<Run> = {}): Run => ({
  task,
  id: `${ID}${path}`,
  attempt,
  generation: 0,
  ...more,
});
const value = (path: string, attempt: number) => ({ by: `${ID}${path}`, attempt, generation: 0 });

/** A chord of two members that came through: the first one at its second attempt. */
const RUNS = [
  run('.0', 'member', 1),
  run('.1', 'member', 1),
  run('.0', 'member', 2),
  run('.body', 'body', 1, { got: [value('.0', 2), value('.1', 1)] }),
  run('.link.0', 'link', 1, { got: value('.body', 1) }),
];
const MADE = { '.0': 1, '.1': 1, '.body': 1, '.link.0': 1 };

function wrong(changes: Partial<Evidence>, plan: Plan = join.plan(2)): string[] {
  const runs = changes.runs ?? RUNS;
  const evidence: Evidence = {
    id: ID,
    state: 'SUCCESS',
    came: value('.body', 1),
    runs,
    callbacks: [],
    made: MADE,
    nodes: { '': 1 },
    left: [],
    gotBy: (path) => runs.filter(({ id }) => id === `${ID}${path}`).map(({ got }) => got ?? null),
    ...changes,
  };
  return [...wrongWith(plan, evidence), ...(plan.judge(evidence, undefined as never) as string[])];
}

describe('what the torture suite checks', () => {
  it('finds nothing wrong with a chord that lost an attempt', () => {
    expect(wrong({})).toEqual([]);
  });

  it.each<[string, Partial<Evidence>, string]>([
    ['a body that is released twice', { made: { ...MADE, '.body': 2 } }, '.body was made 2× instead of 1×'],
    [
      'an errback beside the body',
      { made: { ...MADE, '.errback.0': 1 } },
      '.errback.0 was made 1× instead of 0×',
    ],
    [
      'a body that is never released',
      { made: { '.0': 1, '.1': 1, '.link.0': 1 } },
      '.body was made 0× instead of 1×',
    ],
    ['a member that is made again', { made: { ...MADE, '.1': 2 } }, '.1 was made 2× instead of 1×'],
    ['a node that is made again', { nodes: { '': 2 } }, 'node  was made 2×'],
    ['a task that never runs', { runs: RUNS.slice(0, 4) }, '.link.0 never ran'],
    [
      'an attempt that runs twice',
      { runs: [...RUNS, run('.1', 'member', 1)] },
      `${ID}.1 of generation 0, attempt 1, item 0, ran twice`,
    ],
    [
      'a body that is told two things',
      { runs: [...RUNS, run('.body', 'body', 2, { got: [value('.0', 2)] })] },
      `${ID}.body of generation 0 was given`,
    ],
    [
      'an attempt that is heard although another one has taken over',
      { runs: [...RUNS, run('.1', 'member', 2)] },
      `attempt 1 of ${ID}.1 of generation 0 was heard, not 2`,
    ],
    [
      'a value that an attempt of the past gave the canvas',
      { runs: [...RUNS, run('.body', 'body', 2, { got: [value('.0', 2), value('.1', 1)] })] },
      `attempt 1 of ${ID}.body of generation 0 was heard, not 2`,
    ],
    ['what still waits', { left: ['member 1 is stranded'] }, 'left waiting: member 1 is stranded'],
    ['another outcome', { state: 'FAILURE' }, 'it is FAILURE, not SUCCESS'],
    [
      'a member that the body was not told of',
      { runs: RUNS.map((one) => (one.task === 'body' ? { ...one, got: [value('.0', 2)] } : one)) },
      'instead of every value somebody was given',
    ],
  ])('finds %s', (_, changes, expected) => {
    expect(wrong(changes)).toContainEqual(expect.stringContaining(expected));
  });

  it('counts the releases of each generation', () => {
    const plan = redrive.plan(2);
    expect(wrong({ made: { '.0': 1, '.1': 1, '.errback.0': 1, '.body': 1 } }, plan)).toContain(
      '.0 was made 1× instead of 2×',
    );
    expect(wrong({ made: { '.0': 2, '.1': 1, '.errback.0': 1 } }, plan)).toContain(
      '.body was made 0× instead of 1×',
    );
  });
});
