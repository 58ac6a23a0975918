import {
  adder,
  chain,
  chord,
  chunks,
  group,
  swap,
  task,
  withErrback,
  withLink,
  withStamp,
  type Ref,
} from '../../support/reference/canvas-model.js';
import { placed, placesOf } from '../../support/reference/places.js';

const a = task('ident');

/** Where every task runs, in definition order. */
function jobsOf(canvas: Ref): string[] {
  return [...placesOf(placed(canvas))].flatMap((node) => (node.kind === 'task' ? [node.job] : []));
}

const headersOf = (canvas: Ref): object[] =>
  [...placesOf(placed(canvas))].flatMap((node) => (node.kind === 'task' ? [node.headers] : []));

describe('the place of a task', () => {
  it.each<[what: string, canvas: Ref, jobs: string[]]>([
    ['alone it is the canvas', a, ['']],
    ['with callbacks it is the child of a node', withLink(a, 'L'), ['.0']],
    ['a step is named by its index', chain(a, a), ['.0', '.1']],
    ['a chain of one is that one', group(chain(a)), ['.0']],
    ['a chain of one with callbacks is not', group(withErrback(chain(a), 'E')), ['.0.0']],
    ['a chain in a chain is its steps', chain(chain(a, chain(a)), a), ['.0', '.1', '.2']],
    ['one with callbacks is a step itself', chain(withLink(chain(a, a), 'L'), a), ['.0.0', '.0.1', '.1']],
    ['a body has a name', chord([a, group(a)], chain(a, a)), ['.0', '.1.0', '.body.0', '.body.1']],
    ['an errback on a body is that of the chord', chord([], withErrback(a, 'E')), ['.body']],
    ['chunks are members', chunks('list', [[1], [2], [3]], 2), ['.0', '.1']],
    [
      'a replacement hangs on its task',
      group(withLink(swap(group(a)), 'L')),
      ['.0.0', '.0.0.replacement.0.0'],
    ],
    [
      'what is added stands behind all members, also from below a step, a body and in a place of a task',
      group(a, chain(a, chord([a], swap(adder(a, group(a)))))),
      ['.0', '.1.0', '.1.1.0', '.1.1.body', '.1.1.body.replacement.0', '.2', '.3.0'],
    ],
    ['what has no group around it adds nothing', chain(adder(a)), ['']],
    [
      'an errback on each member makes nodes of them',
      { ...group(a, chain(a, a)), eachErrback: 'E' },
      ['.0.0', '.1.0', '.1.1'],
    ],
  ])('%s', (_what, canvas, jobs) => {
    expect(jobsOf(canvas)).toEqual(jobs);
  });
});

describe('the headers of a task', () => {
  it('come from all nodes above, the outermost of them winning', () => {
    const inner = withStamp(group(withStamp(a, { own: 1, both: 1 })), { both: 2, all: 2 });
    expect(headersOf(withStamp(chain(inner, a), { all: 3 }))).toEqual([
      { own: 1, both: 2, all: 3 },
      { all: 3 },
    ]);
  });

  it('ride along to what takes its place, where its own win', () => {
    const canvas = withStamp(swap(group(withStamp(a, { key: 'own' }), a)), { key: 'ridden', more: 1 });
    expect(headersOf(canvas)).toEqual([
      { key: 'ridden', more: 1 },
      { key: 'own', more: 1 },
      { key: 'ridden', more: 1 },
    ]);
  });
});
