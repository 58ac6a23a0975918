import { runInThisContext } from 'node:vm';
import { declaredParameters } from './declared-parameters.js';

/* oxlint-disable no-unused-vars */
class Methods {
  none(): void {}
  one(_a: unknown): void {}
  async two(_a: unknown, _b = ','): Promise<void> {}
  *defaults(_a = [1, 2], _b = { x: '),(' }, _c = `${1},`): Generator<void> {}
  rest(_a: unknown, ..._b: unknown[]): void {}
  async onlyRest(..._b: unknown[]): Promise<void> {}
  destructured({ a: _a, ...b }: { a: unknown }, [_c, ...d]: unknown[]): unknown {
    return [b, d];
  }
  callback(_a = (...x: unknown[]) => x, _b = 2): void {}
  commented(_a: unknown /* , ...b */, // , c
    _d: unknown): void {} // prettier-ignore
  ['odd name('](_a: unknown): void {}
}

describe('declaredParameters', () => {
  it.each([
    ['none', 0, false, undefined],
    ['one', 1, false, '_a'],
    ['two', 2, false, '_b'],
    ['defaults', 3, false, '_c'],
    ['rest', 2, true, undefined],
    ['onlyRest', 1, true, undefined],
    ['destructured', 2, false, undefined],
    ['callback', 2, false, '_b'],
    ['commented', 2, false, '_d'],
    ['odd name(', 1, false, '_a'],
  ])('reads the method %s', (name, count, rest, lastName) => {
    const method = Methods.prototype[name as 'none'] as () => unknown;
    expect(declaredParameters(method)).toEqual({ count, rest, lastName, original: true });
  });

  it.each([
    [(...args: unknown[]) => args, 1, true],
    [async (...args: unknown[]) => args, 1, true],
    [(a: unknown, b: unknown) => [a, b], 2, false],
    [
      function (...args: unknown[]) {
        return args;
      },
      1,
      true,
    ],
  ])('tells a wrapper from a method: %s', (wrapper, count, rest) => {
    expect(declaredParameters(wrapper as () => unknown)).toMatchObject({ count, rest, original: false });
  });

  it('reads an arrow without parentheses', () => {
    const arrow = runInThisContext('x => x') as () => unknown;
    expect(declaredParameters(arrow)).toEqual({
      count: 1,
      rest: false,
      lastName: 'x',
      original: false,
    });
  });

  it('takes a bound or native function for a wrapper', () => {
    expect(declaredParameters(Methods.prototype.one.bind(undefined) as () => unknown)?.original).toBe(false);
  });
});
