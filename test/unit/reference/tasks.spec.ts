import { TASK_NAMES, type Json, type TaskName } from '../../support/reference/canvas-model.js';
import { runTask, TROUBLES } from '../../support/reference/tasks.js';

describe('the tasks of the reference', () => {
  it.each<[name: (typeof TASK_NAMES)[number], args: Json[], value: Json]>([
    ['ident', [[1], 2], [1]],
    ['ident', [], null],
    ['list', [1, [2], 'x'], [1, [2], 'x']],
    ['list', [], []],
    ['add', [1, [2, [3]], 'x', null, { key: 100 }], 6],
    ['sum', [[1, 2, [50], 'x'], 100], 3],
    ['sum', [4], 4],
    ['sum', [], 0],
    ['sumTree', [[1, { key: [2, { deep: 3 }] }], 4], 10],
    ['double', [[1, ['x', { key: 2 }]], 9], [2, ['x', { key: 4 }]]],
    ['double', [], null],
    ['flaky', ['value', 0], 'value'],
    ['failIfOdd', [2, 4], 2],
  ])('%s(%j) is %j', (name, args, value) => {
    expect(runTask(name, args, 1)).toEqual(value);
  });

  it('flaky fails as many times as its last argument says', () => {
    expect(() => runTask('flaky', ['value', 2], 2)).toThrow(new Error('flaky 2'));
    expect(runTask('flaky', ['value', 2], 3)).toBe('value');
  });

  it('fail always fails, with its last argument as tag', () => {
    expect(() => runTask('fail', [1, 'tag'], 1)).toThrow(new Error('boom tag'));
    expect(() => runTask('fail', [1], 1)).toThrow(new Error('boom'));
  });

  it('failIfOdd fails when all its numbers make an odd sum', () => {
    expect(() => runTask('failIfOdd', [[1, [2]], { key: 4 }], 1)).toThrow(new RangeError('odd 7'));
  });

  it('again asks for another attempt as many times as its last argument says', () => {
    expect(() => runTask('again', ['value', 1], 1)).toThrow(new TypeError('again 1'));
    expect(runTask('again', ['value', 1], 2)).toBe('value');
  });

  it('a task that computes nothing has a trouble of its own, or is told apart by the interpreter', () => {
    for (const name of TASK_NAMES) {
      if (COMPUTED.has(name)) expect(TROUBLES[name]).toBeUndefined();
      else expect(() => runTask(name, [1], 9)).toThrow(new TypeError(`${name} computes nothing`));
    }
    const special = TASK_NAMES.filter((name) => !COMPUTED.has(name) && TROUBLES[name] === undefined);
    expect(special).toEqual(['headers', 'ignore', 'swap']);
  });

  it('every task that computes takes any argument', () => {
    const anything: Json[] = [null, true, -1.5, '', [], {}, [[null]], { status: 'fulfilled', value: [1] }];
    for (const name of COMPUTED) {
      if (name === 'fail') continue;
      for (const value of anything) {
        if (name === 'failIfOdd' && JSON.stringify(value).includes('1')) continue;
        expect(JSON.parse(JSON.stringify(runTask(name, [value], 9)))).toEqual(runTask(name, [value], 9));
      }
    }
  });
});

const COMPUTED = new Set<TaskName>([
  ...([
    'ident',
    'list',
    'add',
    'sum',
    'sumTree',
    'double',
    'flaky',
    'again',
    'failIfOdd',
    'fail',
    'adder',
  ] as const),
]);
