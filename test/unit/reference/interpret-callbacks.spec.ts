import {
  chain,
  chord,
  group,
  immutableTask,
  task,
  withErrback,
  withLink,
  type Ref,
} from '../../support/reference/canvas-model.js';
import { interpret } from '../../support/reference/interpret.js';
import { causeOf } from '../../support/reference/outcome.js';
import { boom, callbacksOf, payloadsOf } from './expectations.js';

const ok = task('ident', 1);
const fails = (tag: string) => task('fail', tag);

describe('link', () => {
  it('B108 on a task: once, with its value, not its arguments', () => {
    expect(interpret(withLink(task('add', 2, 2), 'L')).observations).toEqual([
      { label: 'L', kind: 'link', payload: 4 },
    ]);
  });

  it('B109 on a step: beside the next step, with the same value', () => {
    expect(payloadsOf(chain(withLink(task('add', 1, 1), 'L'), task('add', 5)))).toEqual({ L: 2 });
  });

  it('B019 and decision 7: on a group, once, after all members, with the ordered values', () => {
    expect(payloadsOf(withLink(group(task('ident', 'a'), task('ident', 'b')), 'L'))).toEqual({
      L: ['a', 'b'],
    });
  });

  it('B020 on a group with a failed member: never', () => {
    expect(callbacksOf(withLink(group(fails('a'), ok), 'L'))).toEqual([]);
  });

  it('decision 7: on an empty group, with []', () => {
    expect(payloadsOf(withLink(group(), 'L'))).toEqual({ L: [] });
  });

  it('B032 on every step of a chain: each with its own value', () => {
    const step = (label: string) => withLink(task('add', 1), label);
    expect(payloadsOf(chain(step('L1'), step('L2'), step('L3')))).toEqual({ L1: 1, L2: 2, L3: 3 });
  });

  it('B033 on a chain: once, after the last step', () => {
    expect(payloadsOf(withLink(chain(task('add', 1, 1), task('add', 2)), 'L'))).toEqual({ L: 4 });
  });

  it('B034 on a chain in a chain: with the value of the inner chain', () => {
    const inner = withLink(chain(task('add', 1), task('add', 2)), 'L');
    expect(payloadsOf(chain(inner, task('add', 100)))).toEqual({ L: 3 });
  });

  it('B044 on a chain that ends in a group: once, with the list', () => {
    const canvas = withLink(chain(task('add', 1, 1), group(task('add', 1), task('add', 2))), 'L');
    expect(interpret(canvas).observations).toEqual([{ label: 'L', kind: 'link', payload: [3, 4] }]);
  });

  it('B045 on a chain with a group inside: once, with the last value', () => {
    const canvas = chain(ok, group(task('add', 1), task('add', 2)), task('sum'));
    expect(payloadsOf(withLink(canvas, 'L'))).toEqual({ L: 5 });
  });

  it('B057 on a chord: once, with the value of its body, and so on the body', () => {
    const canvas = chord([ok, task('ident', 2)], withLink(task('sum'), 'L body'));
    expect(payloadsOf(withLink(canvas, 'L chord'))).toEqual({ 'L body': 3, 'L chord': 3 });
  });

  it('B067 on header members: each on its own, whatever becomes of the chord', () => {
    const canvas = chord([withLink(ok, 'L'), withErrback(fails('h'), 'E')], task('list'));
    expect(callbacksOf(canvas)).toEqual(['E errback', 'L link']);
  });

  it('decision 9: on a recovered chord, once', () => {
    const canvas = chord([fails('h'), ok], task('ident'), 'callback-with-successes');
    expect(payloadsOf(withErrback(withLink(canvas, 'L'), 'E'))).toEqual({ L: [1] });
  });

  it('B069 on a task that is run again: once, at its success', () => {
    expect(callbacksOf(withErrback(withLink(task('flaky', 2), 'L'), 'E'))).toEqual(['L link']);
  });
});

describe('errback', () => {
  it('B118 and decision 10: on a task, once, at its final failure', () => {
    const { observations } = interpret(withErrback(task('flaky', 3), 'E'));
    expect(observations).toMatchObject([
      { label: 'E', kind: 'errback', payload: { error: { message: 'flaky 3' } } },
    ]);
  });

  it('B030 and decision 6: on a chain, once, with the step that failed', () => {
    expect(payloadsOf(withErrback(chain(ok, fails('t2'), task('list')), 'E'))).toEqual({ E: boom('t2') });
  });

  it('B032 on every step of a chain: only that of the step that failed', () => {
    const step = (tag: string) => withErrback(fails(tag), `E ${tag}`);
    expect(payloadsOf(chain(step('a'), step('b'), step('c')))).toEqual({ 'E a': boom('a') });
  });

  it('B034 on a chain in a chain: not for a step of the outer one', () => {
    const inner = withErrback(chain(ok, task('list')), 'E inner');
    expect(callbacksOf(withErrback(chain(inner, fails('outer')), 'E outer'))).toEqual(['E outer errback']);
  });

  it('decision 6: on nested chains, once on each that failed', () => {
    const inner = withErrback(chain(fails('leaf'), task('list')), 'E inner');
    expect(payloadsOf(withErrback(chain(ok, inner, task('list')), 'E outer'))).toEqual({
      'E inner': boom('leaf'),
      'E outer': boom('leaf'),
    });
  });

  it('B021 and decision 6: on a group, once, with all failures', () => {
    expect(payloadsOf(withErrback(group(fails('a'), ok, fails('c')), 'E'))).toEqual({
      E: {
        kind: 'group',
        failures: [
          { index: 0, failure: boom('a') },
          { index: 2, failure: boom('c') },
        ],
        values: [{ index: 1, value: 1 }],
      },
    });
  });

  it('B043 and decision 6: on a chain that ends in a failing group, once', () => {
    const canvas = withErrback(chain(ok, group(task('ident'), fails('a'), fails('b'))), 'E');
    expect(callbacksOf(canvas)).toEqual(['E errback']);
  });

  it('B062 (a) on the body or on the chord: once each, however many members fail', () => {
    const canvas = chord([fails('a'), fails('b')], withErrback(task('list'), 'E body'));
    expect(callbacksOf(withErrback(canvas, 'E chord'))).toEqual(['E body errback', 'E chord errback']);
  });

  it('decision 6: on the body, with all failures and all values of the header', () => {
    expect(payloadsOf(chord([ok, fails('b')], withErrback(task('list'), 'E')))).toEqual({
      E: { kind: 'chord', failures: [{ index: 1, failure: boom('b') }], values: [{ index: 0, value: 1 }] },
    });
  });

  it('B066 on the body or on the chord: once each when the body fails', () => {
    const canvas = withErrback(chord([ok], withErrback(fails('body'), 'E body')), 'E chord');
    expect(payloadsOf(canvas)).toEqual({ 'E body': boom('body'), 'E chord': boom('body') });
    expect(callbacksOf(canvas)).toHaveLength(2);
  });

  it('B068 on a chord: not once more for each failed member', () => {
    expect(callbacksOf(withErrback(chord([fails('a'), fails('b')], task('list')), 'E'))).toEqual([
      'E errback',
    ]);
  });

  it.each<[row: string, kind: string, body: Ref]>([
    ['B094', 'chain', chain(withErrback(task('list'), 'E step'), task('list'))],
    ['B095', 'group', group(withErrback(task('list'), 'E member'), task('list'))],
    ['B096', 'chord', chord([withErrback(task('list'), 'E member')], task('list'))],
  ])(
    '%s and decision 6: on a %s as body, once when the header fails, and none inside',
    (_row, _kind, body) => {
      const canvas = withErrback(chord([fails('h')], withErrback(body, 'E body')), 'E chord');
      expect(callbacksOf(canvas)).toEqual(['E body errback', 'E chord errback']);
    },
  );

  it('decision 6: on the body of a skipped chord, skipped with it', () => {
    const inner = chord([task('list')], withErrback(task('list'), 'E'));
    expect(callbacksOf(chord([fails('h')], inner))).toEqual([]);
  });

  it('B089 and B090: on every chord that the failure climbs through, once', () => {
    const inner = withErrback(chord([ok, fails('leaf')], task('list')), 'E inner');
    const canvas = withErrback(chord([ok, inner], withErrback(task('list'), 'E outer body')), 'E outer');
    expect(callbacksOf(canvas)).toEqual(['E inner errback', 'E outer body errback', 'E outer errback']);
    const { outcome } = interpret(canvas);
    expect(!outcome.ok && causeOf(outcome.failure)).toEqual(boom('leaf'));
  });

  it.each<[row: string, canvas: Ref]>([
    ['B092', chain(ok, group(task('ident'), fails('g')), task('list'))],
    ['B092', chain(fails('c'), group(ok, ok))],
    ['B093', chain(ok, group(task('ident'), fails('g')))],
  ])('%s on an outer chord: once for a member that is a chain with a group', (_row, member) => {
    expect(callbacksOf(withErrback(chord([member], task('list')), 'E'))).toEqual(['E errback']);
  });

  it.each<[row: string, canvas: Ref]>([
    ['B097', chain(group(ok, fails('g')), group(task('list'), task('list')), task('list'))],
    ['B098', chain(ok, chord([ok, fails('h')], task('list')), chord([ok], task('list')), task('list'))],
    ['B099', chain(fails('x'), group(ok, ok), task('list'))],
  ])('%s on a chain: once', (_row, canvas) => {
    expect(callbacksOf(withErrback(canvas, 'E'))).toEqual(['E errback']);
  });

  it('B100 (a) on a chord with a group as body: once, however many of its members fail', () => {
    expect(callbacksOf(withErrback(chord([ok], group(fails('a'), fails('b'))), 'E'))).toEqual(['E errback']);
  });

  it('B100 (b) on a group with a failed chord and a failed task: once', () => {
    const canvas = group(chord([fails('a'), fails('b')], task('list')), fails('c'));
    expect(payloadsOf(withErrback(canvas, 'E'))).toMatchObject({
      E: {
        failures: [
          { index: 0, failure: { kind: 'chord' } },
          { index: 1, failure: boom('c') },
        ],
      },
    });
  });

  it('decision 6: on a step or composite that was skipped, never', () => {
    const skipped = [
      withErrback(task('list'), 'E task'),
      withErrback(group(withErrback(task('list'), 'E member')), 'E group'),
      withErrback(chord([ok], withErrback(task('list'), 'E body')), 'E chord'),
      withErrback(chain(task('list')), 'E chain'),
    ];
    expect(callbacksOf(chain(fails('first'), ...skipped))).toEqual([]);
  });

  it('decision 9: on a recovered chord, only if the body itself fails', () => {
    const header = [fails('h'), ok];
    const recovered = (body: Ref) =>
      withErrback(chord(header, withErrback(body, 'E body'), 'callback-with-outcomes'), 'E chord');
    expect(callbacksOf(recovered(task('list')))).toEqual([]);
    expect(payloadsOf(recovered(fails('body')))).toEqual({ 'E body': boom('body'), 'E chord': boom('body') });
  });

  it('decision 9: nothing of a recovered failure climbs further', () => {
    const recovered = chord([withErrback(fails('h'), 'E member')], task('list'), 'callback-with-successes');
    expect(callbacksOf(withErrback(chain(recovered, task('list')), 'E chain'))).toEqual(['E member errback']);
  });

  it('B005 an immutable task that fails is no different', () => {
    expect(payloadsOf(chain(ok, withErrback(immutableTask('fail', 'i'), 'E')))).toEqual({ E: boom('i') });
  });

  it('records the failure in the form asked for', () => {
    const canvas = withErrback(group(fails('a'), fails('b')), 'E');
    const { observations } = interpret(canvas, undefined, {
      failureForm: (failure) => causeOf(failure).error.message,
    });
    expect(observations).toEqual([{ label: 'E', kind: 'errback', payload: 'boom a' }]);
  });
});
