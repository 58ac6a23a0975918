import { recollect, remembered, wrongAfterLoss } from '../../../torture/after-loss.js';
import type { Evidence } from '../../../torture/evidence.js';
import { join } from '../../../torture/scenarios/chords.js';
import type { Run } from '../../../torture/tasks.js';

const ID = 'case-1-x';
const [LOST, NEXT] = [7001, 7002];
const run = (path: string, name: string, nr: number, from: number, got?: Run['got']): Run => ({
  task: path === '.body' ? 'body' : path === '.link.0' ? 'link' : 'member',
  id: `${ID}${path}`,
  attempt: nr,
  generation: 0,
  run: name,
  fetch: { nr, from },
  ...(got === undefined ? {} : { got }),
});
const told = (path: string, by: string) => ({ by: `${ID}${path}`, attempt: 1, generation: 0, run: by });

/** A chord that came through on the master that was lost, which had told its replica of nothing but the first member. */
const before = [
  run('.0', 'a', 1, LOST),
  run('.1', 'b', 1, LOST),
  run('.body', 'c', 1, LOST, [told('.0', 'a'), told('.1', 'b')]),
];
const again = [
  run('.1', 'd', 1, NEXT),
  run('.body', 'e', 1, NEXT, [told('.0', 'a'), told('.1', 'd')]),
  run('.link.0', 'f', 1, NEXT, told('.body', 'e')),
];
const FETCHED = {
  [`${ID}.0`]: [LOST],
  [`${ID}.1`]: [NEXT],
  [`${ID}.body`]: [NEXT],
  [`${ID}.link.0`]: [NEXT],
};
const MADE = { '.0': 1, '.1': 1, '.body': 1, '.link.0': 1 };

function evidence(runs: readonly Run[], changes: Partial<Evidence> = {}): Evidence {
  const nothing = { callbacks: [], left: [], nodes: { '': 1 }, gotBy: () => [] };
  return {
    id: ID,
    state: 'SUCCESS',
    came: told('.body', 'e'),
    runs,
    fetched: FETCHED,
    made: MADE,
    ...nothing,
    ...changes,
  };
}
const wrong = (runs: readonly Run[], changes?: Partial<Evidence>): string[] =>
  wrongAfterLoss(join.plan(2), evidence(runs, changes));
const names = (runs: readonly Run[]): (string | undefined)[] => runs.map((one) => one.run);

describe('what the torture suite checks after a fail-over', () => {
  it('finds nothing wrong with attempts that began again', () => {
    expect(wrong([...before, ...again])).toEqual([]);
  });

  it('finds nothing wrong with a handler that was late, of a fetch that is forgotten', () => {
    const [a, b, c] = before as [Run, Run, Run];
    const [d, e, f] = again as [Run, Run, Run];
    expect(wrong([a, d, b, e, c, f])).toEqual([]);
    expect(wrong([a, d, e, f, b, c])).toEqual([]);
  });

  it('finds a run that was heard although its fetch had been forgotten, whenever its handler began', () => {
    const [a, b, c] = before as [Run, Run, Run];
    const [d, e, f] = again as [Run, Run, Run];
    const line = `attempt 1 of ${ID}.body was heard, fetched as no. 1 of :7001; remembered are no. 1 of :7002`;
    for (const runs of [
      [a, b, c, d, e, f],
      [a, b, d, e, c, f],
    ])
      expect(wrong(runs, { came: told('.body', 'c') })).toEqual([line]);
    const body = run('.body', 'e', 1, NEXT, [told('.0', 'a'), told('.1', 'b')]);
    for (const runs of [
      [a, b, c, d, body, f],
      [a, d, b, c, body, f],
    ])
      expect(wrong(runs)).toEqual([expect.stringContaining(`attempt 1 of ${ID}.1 was heard`)]);
  });

  it('finds a run that was heard although a later fetch of the same master had taken over', () => {
    const later = run('.1', 'g', 2, NEXT);
    const fetched = { ...FETCHED, [`${ID}.1`]: [NEXT, NEXT] };
    expect(wrong([...before, ...again, later], { fetched })).toEqual([
      `attempt 1 of ${ID}.1 was heard, fetched as no. 1 of :7002; remembered are no. 1 of :7002, no. 2 of :7002`,
    ]);
  });

  it('finds a run that was heard of a task of which no fetch is remembered', () => {
    const { [`${ID}.0`]: _, ...fetched } = FETCHED;
    expect(wrong([...before, ...again], { fetched })).toEqual([
      expect.stringContaining(`attempt 1 of ${ID}.0 was heard`),
    ]);
  });

  it('finds what is released twice in what is left', () => {
    expect(wrong([...before, ...again], { made: { ...MADE, '.body': 2 } })).toContain(
      '.body was made 2× instead of 1×',
    );
  });
});

describe('what is remembered of the runs of a canvas', () => {
  it('is what Redis remembers the fetches of, in whatever order handlers began', () => {
    const [a, b, c] = before as [Run, Run, Run];
    const [d, e, f] = again as [Run, Run, Run];
    const { kept, forgotten, late } = recollect(evidence([a, c, d, e, b, f]));
    expect(names(kept)).toEqual(['a', 'd', 'e', 'f']);
    expect(names(forgotten)).toEqual(['c', 'b']);
    expect(names(late)).toEqual(['b']);
  });

  it('has the attempts before the last one, and none beyond it', () => {
    const runs = [
      run('.1', 'first', 1, LOST),
      run('.1', 'lost', 2, LOST),
      run('.1', 'beyond', 3, LOST),
      run('.1', 'last', 2, NEXT),
    ];
    const fetched = { [`${ID}.1`]: [LOST, NEXT] };
    const { kept, forgotten, late } = recollect({ runs, fetched });
    expect(names(kept)).toEqual(['first', 'last']);
    expect(names(forgotten)).toEqual(['lost', 'beyond']);
    expect(late).toEqual([]);
  });

  it('leaves out what runs were given that are forgotten', () => {
    const seen = remembered(evidence([...again, ...before]));
    expect(seen.gotBy('.body')).toEqual([[told('.0', 'a'), told('.1', 'd')]]);
  });
});
