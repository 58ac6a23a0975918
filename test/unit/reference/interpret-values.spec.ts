import {
  chain,
  chord,
  group,
  immutableTask,
  task,
  type Json,
  type Ref,
} from '../../support/reference/canvas-model.js';
import { interpret } from '../../support/reference/interpret.js';
import { valueOf } from './expectations.js';

type Case = { title: string; canvas: Ref; input?: Json; value: Json };

const ident = (value: Json): Ref => task('ident', value);

describe('the value of a task', () => {
  it.each<Case>([
    {
      title: 'B002 a late argument goes in front of the stored ones',
      canvas: task('list', 'stored'),
      input: 'late',
      value: ['late', 'stored'],
    },
    {
      title: 'B005 an immutable task keeps to its own arguments',
      canvas: immutableTask('add', 2, 2),
      input: 4,
      value: 4,
    },
    {
      title: 'B002 null is a value like any other, unlike no value at all',
      canvas: task('list', 1),
      input: null,
      value: [null, 1],
    },
    { title: 'B069 a task that succeeds on its last re-run succeeds', canvas: task('flaky', 2), value: 2 },
  ])('$title', ({ canvas, input, value }) => {
    expect(valueOf(canvas, input)).toEqual(value);
  });
});

describe('the value of a group', () => {
  it.each<Case>([
    {
      title: 'B013 one value per member in definition order',
      canvas: group(task('add', 2, 2), task('add', 4, 4)),
      value: [4, 8],
    },
    {
      title: 'B014 with decision 4: a group in a group is one member',
      canvas: group(ident(11), group(ident(101), group(ident(1001), ident(2001)))),
      value: [11, [101, [1001, 2001]]],
    },
    { title: 'B015 and decision 3: an empty group gives []', canvas: group(), value: [] },
    { title: 'decision 3: an empty group ignores what comes in', canvas: group(), input: 7, value: [] },
    {
      title: 'B016 the input goes to every member but the immutable ones',
      canvas: group(task('add', 1), task('add', 2), immutableTask('add', 2, 3)),
      input: 10,
      value: [11, 12, 5],
    },
    {
      title: 'B016 the input reaches the first step of a chain member and the header of a chord member',
      canvas: group(chain(task('add', 1), task('add', 5)), chord([task('add', 2)], task('list', 'own'))),
      input: 10,
      value: [16, [[12], 'own']],
    },
    {
      title: 'B025 a one-member group hands on a list',
      canvas: chain(task('add', 2, 2), group(task('add', 1)), task('list', 'next')),
      value: [[5], 'next'],
    },
    {
      title: 'B087 a chain that ends in a group is one member',
      canvas: group(ident('x'), chain(ident('y'), group(task('ident'), task('ident')))),
      value: ['x', ['y', 'y']],
    },
    {
      title: 'B088 (a) the only member is a chain that ends in a group',
      canvas: group(chain(task('add', 1, 2), group(task('add', 1), task('add', 2)))),
      value: [[4, 5]],
    },
    {
      title: 'B088 (b) the only member is a chord with a chain as body',
      canvas: group(chord([ident(42)], chain(task('ident')))),
      value: [[42]],
    },
    {
      title: 'decision 4: an empty group is a member with the value []',
      canvas: group(ident(1), group(), ident(2)),
      value: [1, [], 2],
    },
  ])('$title', ({ canvas, input, value }) => {
    expect(valueOf(canvas, input)).toEqual(value);
  });
});

describe('the value of a chain', () => {
  it.each<Case>([
    {
      title: 'B026 each step gets the value before it',
      canvas: chain(task('add', 2, 2), task('add', 4), task('add', 8)),
      value: 16,
    },
    {
      title: 'B027 an immutable step ignores it',
      canvas: chain(task('add', 1, 1), immutableTask('add', 5, 5), task('add', 1)),
      value: 11,
    },
    {
      title: 'B028 the input goes to the first step only',
      canvas: chain(task('add', 1), task('add', 2)),
      input: 10,
      value: 13,
    },
    { title: 'B029 a chain of one is that one', canvas: chain(task('add', 2, 3)), value: 5 },
    {
      title: 'B026 a step that returns null hands on null',
      canvas: chain(task('ident'), task('list', 1)),
      value: [null, 1],
    },
    {
      title: 'B026 a last value of 0 stays 0',
      canvas: chain(task('add', 1), immutableTask('add')),
      value: 0,
    },
    {
      title: 'B040 a group at the end',
      canvas: chain(ident(1), group(task('list', 2), task('list', 3))),
      value: [
        [1, 2],
        [1, 3],
      ],
    },
    { title: 'B041 a group alone', canvas: chain(group(ident(42), ident(42))), value: [42, 42] },
    {
      title: 'B046 and decision 3: an empty group in mid-chain hands on []',
      canvas: chain(task('add', 1, 1), group(), task('list', 'next')),
      value: [[], 'next'],
    },
    {
      title: 'B046 and decision 3: an empty group at the end gives []',
      canvas: chain(task('add', 1, 1), group()),
      value: [],
    },
    {
      title: 'B054 a chord in a chain: the value goes to its header, never to its body',
      canvas: chain(ident(10), chord([task('add', 1), task('add', 2)], task('list', 'own'))),
      value: [[11, 12], 'own'],
    },
    {
      title: 'B082 (a) each member of the second group gets the whole list of the first',
      canvas: chain(
        immutableTask('add', 1, 0),
        group(task('add', 1), task('add', 1)),
        group(task('sum'), task('sum')),
        task('sum'),
      ),
      value: 8,
    },
    {
      title: 'B082 (b) a group after a group',
      canvas: chain(group(ident(1), ident(2)), group(task('ident'), task('sum'))),
      value: [[1, 2], 3],
    },
    {
      title: 'B083 a chord after a chord',
      canvas: chain(
        chord([ident(1), ident(2)], task('sum')),
        chord([task('add', 1), task('add', 2)], task('sum')),
      ),
      value: 9,
    },
    {
      title: 'B086 definition order at every depth',
      canvas: chain(
        ident(1),
        group(task('add', 10), group(task('add', 20), task('add', 30)), task('add', 40)),
      ),
      value: [11, [21, 31], 41],
    },
  ])('$title', ({ canvas, input, value }) => {
    expect(valueOf(canvas, input)).toEqual(value);
  });

  it('B029 and B102: a chain without steps is refused, wherever it stands', () => {
    expect(() => interpret(chain())).toThrow('a chain needs a step');
    expect(() => interpret(chain(task('fail'), chord([chain()], task('ident'))))).toThrow(RangeError);
  });
});

describe('the value of a chord', () => {
  it.each<Case>([
    {
      title: 'B048 the body gets one list, in header order',
      canvas: chord([task('add', 2, 2), task('add', 4, 4)], task('list')),
      value: [[4, 8]],
    },
    {
      title: "B049 the body's own arguments follow the list",
      canvas: chord([task('add', 1, 1)], task('list', 'mine', 1)),
      value: [[2], 'mine', 1],
    },
    {
      title: 'B049 an immutable body gets only its own arguments',
      canvas: chord([task('add', 1, 1)], immutableTask('list', 'only')),
      value: ['only'],
    },
    {
      title: 'B050 (a) and decision 3: an empty header runs the body with []',
      canvas: chord([], task('list', 9)),
      value: [[], 9],
    },
    {
      title: 'decision 3: the input of a chord with an empty header goes nowhere',
      canvas: chord([], task('list', 9)),
      input: 5,
      value: [[], 9],
    },
    {
      title: 'B050 (b) one member still makes a list',
      canvas: chord([task('add', 2, 5)], task('list', 9)),
      value: [[7], 9],
    },
    {
      title: 'B052 a chain in the header is one sequential member',
      canvas: chord([chain(task('add', 1, 1), task('add', 2))], task('ident')),
      value: [4],
    },
    {
      title: 'B054 the input goes to every header member',
      canvas: chord([task('add', 1), task('add', 2)], task('list', 'own')),
      input: 10,
      value: [[11, 12], 'own'],
    },
    {
      title: 'B084 (a) a chord in a header counts as one member',
      canvas: chord([chord([ident(1), ident(2)], task('ident')), ident(3)], task('ident')),
      value: [[1, 2], 3],
    },
    {
      title: 'B084 (b) a chain in a header gives its last value',
      canvas: chord([chain(task('add', 1, 1), task('add', 10)), task('add', 5, 5)], task('ident')),
      value: [12, 10],
    },
    {
      title: 'B084 (c) a chain that ends in a group gives a nested list',
      canvas: chord(
        [chain(ident(1), group(task('add', 1), task('add', 2))), task('add', 5, 5)],
        task('ident'),
      ),
      value: [[2, 3], 10],
    },
    {
      title: 'B085 with decision 4: a group in a header is one member',
      canvas: chord([group(ident(1), ident(2))], task('ident')),
      value: [[1, 2]],
    },
    {
      title: 'B086 with decision 4: groups nested in a header keep order and nesting',
      canvas: chord(
        [ident('a'), group(ident('b'), ident('c'), group(ident('d'), ident('e'))), ident('f')],
        task('ident'),
      ),
      value: ['a', ['b', 'c', ['d', 'e']], 'f'],
    },
    {
      title: 'B102 with decision 4: an empty group in a header is a member with the value []',
      canvas: chord([group(), ident(1)], task('ident')),
      value: [[], 1],
    },
    {
      title: 'B048 a chain as body gets the list at its first step',
      canvas: chord([ident(1), ident(2)], chain(task('sum'), task('add', 10))),
      value: 13,
    },
    {
      title: 'B048 a group as body gets the list at every member',
      canvas: chord([ident(1), ident(2)], group(task('sum'), task('ident'))),
      value: [3, [1, 2]],
    },
    {
      title: 'B048 a chord as body gets the list at every header member',
      canvas: chord([ident(1), ident(2)], chord([task('sum'), task('ident')], task('list', 'own'))),
      value: [[3, [1, 2]], 'own'],
    },
    {
      title: 'B069 (a) a member that retries is counted once, with its last value',
      canvas: chord([task('flaky', 'A', 2), task('add', 1, 1)], task('ident')),
      value: ['A', 2],
    },
    {
      title: 'B069 (c) a body that retries',
      canvas: chord([ident(1)], task('flaky', 1)),
      value: [1],
    },
  ])('$title', ({ canvas, input, value }) => {
    expect(valueOf(canvas, input)).toEqual(value);
  });
});
