import { chain, chord, group, task } from '../../support/reference/canvas-model.js';
import { causeOf } from '../../support/reference/outcome.js';
import { boom, failureOf, runsOf, valueOf } from './expectations.js';

const ok = task('ident', 1);
const fails = (tag: string) => task('fail', tag);

describe('a failing task', () => {
  it('B137 ends with its own error once its re-runs are used up', () => {
    expect(failureOf(task('flaky', 3))).toEqual({
      kind: 'task',
      taskName: 'flaky',
      error: { name: 'Error', message: 'flaky 3' },
      reason: 'error',
    });
    expect(runsOf(task('flaky', 3))).toEqual({ flaky: 3 });
  });

  it('decision 19: keeps the name of its error', () => {
    expect(causeOf(failureOf(task('failIfOdd', 3))).error).toEqual({ name: 'RangeError', message: 'odd 3' });
  });
});

describe('a failing group', () => {
  it('B022 lets the other members run', () => {
    expect(runsOf(group(fails('a'), ok, ok))).toEqual({ fail: 1, ident: 2 });
  });

  it('B023 fails with every failure and every value, and its cause is the lowest index', () => {
    const failure = failureOf(group(task('ident', 7), fails('b'), fails('c')));
    expect(failure).toEqual({
      kind: 'group',
      failures: [
        { index: 1, failure: boom('b') },
        { index: 2, failure: boom('c') },
      ],
      values: [{ index: 0, value: 7 }],
    });
    expect(causeOf(failure)).toEqual(boom('b'));
  });

  it('decision 2: the failure of a nested group is that of one member', () => {
    const failure = failureOf(group(ok, group(fails('deep'), ok)));
    expect(failure).toMatchObject({
      kind: 'group',
      failures: [{ index: 1, failure: { kind: 'group', failures: [{ index: 0, failure: boom('deep') }] } }],
    });
    expect(causeOf(failure)).toEqual(boom('deep'));
  });
});

describe('a failing chain', () => {
  it('B030 and decision 8: stops, with the failure of the step', () => {
    const canvas = chain(task('add', 1, 1), fails('t2'), task('list'), task('list'));
    expect(failureOf(canvas)).toEqual(boom('t2'));
    expect(runsOf(canvas)).toEqual({ add: 1, fail: 1 });
  });

  it('B042 does not start a group at its end', () => {
    const canvas = chain(fails('first'), group(ok, ok));
    expect(failureOf(canvas)).toEqual(boom('first'));
    expect(runsOf(canvas)).toEqual({ fail: 1 });
  });

  it('B043 fails as the group at its end does', () => {
    expect(failureOf(chain(task('add', 1, 1), group(task('ident'), fails('m'))))).toEqual({
      kind: 'group',
      failures: [{ index: 1, failure: boom('m') }],
      values: [{ index: 0, value: 2 }],
    });
  });

  it('B097 a failed group stops the group and the task after it', () => {
    const canvas = chain(group(ok, fails('g')), group(task('list'), task('list')), task('add'));
    expect(causeOf(failureOf(canvas))).toEqual(boom('g'));
    expect(runsOf(canvas)).toEqual({ ident: 1, fail: 1 });
  });

  it('B098 a failed chord stops the chord and the task after it', () => {
    const canvas = chain(
      ok,
      chord([task('ident'), fails('h')], task('list')),
      chord([task('list')], task('list')),
      task('add'),
    );
    expect(failureOf(canvas)).toMatchObject({ kind: 'chord', values: [{ index: 0, value: 1 }] });
    expect(runsOf(canvas)).toEqual({ ident: 2, fail: 1 });
  });

  it('B099 a failed first step stops a group and the task after it', () => {
    expect(runsOf(chain(fails('x'), group(ok, ok), task('list')))).toEqual({ fail: 1 });
  });
});

describe('a chord whose header fails', () => {
  it('B058 and B061: never runs its body, runs every member, and lists every failure and value', () => {
    const canvas = chord([fails('a'), task('add', 2, 2), fails('c')], task('list'));
    const failure = failureOf(canvas);
    expect(failure).toEqual({
      kind: 'chord',
      failures: [
        { index: 0, failure: boom('a') },
        { index: 2, failure: boom('c') },
      ],
      values: [{ index: 1, value: 4 }],
    });
    expect(causeOf(failure)).toEqual(boom('a'));
    expect(runsOf(canvas)).toEqual({ fail: 2, add: 1 });
  });

  it('B069 (b) counts a member that used up its re-runs', () => {
    expect(failureOf(chord([task('flaky', 3)], task('list')))).toMatchObject({
      kind: 'chord',
      failures: [{ index: 0, failure: { taskName: 'flaky' } }],
    });
  });

  it('B089 and decision 2: fails the chord that holds it in its header', () => {
    const inner = chord([task('ident', 'in'), fails('leaf')], task('list'));
    expect(failureOf(chord([ok, inner], task('list')))).toEqual({
      kind: 'chord',
      failures: [
        {
          index: 1,
          failure: {
            kind: 'chord',
            failures: [{ index: 1, failure: boom('leaf') }],
            values: [{ index: 0, value: 'in' }],
          },
        },
      ],
      values: [{ index: 0, value: 1 }],
    });
  });

  it('B091 (a) by a chain that stops', () => {
    const canvas = chord([chain(fails('c'), task('list'))], task('list'));
    expect(failureOf(canvas)).toMatchObject({ failures: [{ index: 0, failure: boom('c') }] });
    expect(runsOf(canvas)).toEqual({ fail: 1 });
  });

  it('B091 (b) by a chain that stops before a group', () => {
    expect(runsOf(chord([chain(fails('c'), group(ok, ok), task('list'))], task('list')))).toEqual({
      fail: 1,
    });
  });

  it('B092 (a) by a chain that stops at a group', () => {
    const canvas = chord([chain(ok, group(task('ident'), fails('g')), task('list'))], task('list'));
    expect(failureOf(canvas)).toMatchObject({
      kind: 'chord',
      failures: [{ index: 0, failure: { kind: 'group', failures: [{ index: 1, failure: boom('g') }] } }],
    });
    expect(runsOf(canvas)).toEqual({ ident: 2, fail: 1 });
  });

  it('B093 by a chain that ends in a failing group, in the same shape', () => {
    expect(failureOf(chord([chain(ok, group(task('ident'), fails('g')))], task('list')))).toMatchObject({
      kind: 'chord',
      failures: [{ index: 0, failure: { kind: 'group', values: [{ index: 0, value: 1 }] } }],
    });
  });

  it.each([
    ['B094', 'chain', chain(task('list'), task('list'))],
    ['B095', 'group', group(task('list'), task('list'))],
    ['B096', 'chord', chord([task('list')], task('list'))],
  ])('%s starts nothing of a %s as body', (_row, _kind, body) => {
    const canvas = chord([fails('h'), ok], body);
    expect(failureOf(canvas)).toMatchObject({ kind: 'chord', failures: [{ index: 0, failure: boom('h') }] });
    expect(runsOf(canvas)).toEqual({ fail: 1, ident: 1 });
  });
});

describe('a chord whose body fails', () => {
  it('B066 fails with the failure of its body', () => {
    expect(failureOf(chord([ok], fails('body')))).toEqual(boom('body'));
  });

  it('B100 (a) fails with the aggregate of a group as body', () => {
    expect(failureOf(chord([ok], group(fails('f1'), fails('f2'), task('ident'))))).toEqual({
      kind: 'group',
      failures: [
        { index: 0, failure: boom('f1') },
        { index: 1, failure: boom('f2') },
      ],
      values: [{ index: 2, value: [1] }],
    });
  });
});

describe('a chord with a recovery', () => {
  it('decision 9 and B080: callback-with-successes gives the values that there are, in order', () => {
    const header = [task('ident', 'a'), fails('b'), task('ident', 'c')];
    expect(valueOf(chord(header, task('list', 'own'), 'callback-with-successes'))).toEqual([
      ['a', 'c'],
      'own',
    ]);
  });

  it('decision 9: callback-with-successes gives [] when every member failed', () => {
    expect(valueOf(chord([fails('a'), fails('b')], task('list'), 'callback-with-successes'))).toEqual([[]]);
  });

  it('B080 callback-with-outcomes gives one record per member', () => {
    const header = [task('ident', 'a'), fails('b'), group(fails('c')), chord([fails('d')], ok)];
    expect(valueOf(chord(header, task('ident'), 'callback-with-outcomes'))).toEqual([
      { status: 'fulfilled', value: 'a' },
      { status: 'rejected', reason: { name: 'Error', message: 'boom b', reason: 'error' } },
      { status: 'rejected', reason: { name: 'GroupError', message: 'boom c', reason: 'error' } },
      { status: 'rejected', reason: { name: 'ChordError', message: 'boom d', reason: 'error' } },
    ]);
  });

  it('B080 callback-with-outcomes gives records in the form asked for', () => {
    const canvas = chord([ok, fails('b')], task('ident'), 'callback-with-outcomes');
    expect(valueOf(canvas, undefined, { settledForm: ({ ok: succeeded }) => succeeded })).toEqual([
      true,
      false,
    ]);
  });

  it('B080 callback-with-outcomes, when no member failed, gives values or records as asked for', () => {
    const canvas = chord([ok], task('ident'), 'callback-with-outcomes');
    expect(valueOf(canvas)).toEqual([1]);
    expect(valueOf(canvas, undefined, { outcomesWhenHeaderSucceeds: 'outcomes' })).toEqual([
      { status: 'fulfilled', value: 1 },
    ]);
  });

  it('decision 9: a recovered chord is a success to the chain and to the header around it', () => {
    const recovered = chord([ok, fails('h')], task('sum'), 'callback-with-successes');
    expect(valueOf(chain(recovered, task('add', 10)))).toBe(11);
    expect(valueOf(chord([recovered, task('ident', 2)], task('ident')))).toEqual([1, 2]);
  });

  it('decision 9: a recovered chord whose body fails, fails with its body', () => {
    expect(failureOf(chord([fails('h')], fails('body'), 'callback-with-successes'))).toEqual(boom('body'));
  });
});
