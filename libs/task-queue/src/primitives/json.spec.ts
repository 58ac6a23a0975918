import { runInNewContext } from 'node:vm';
import { findNonJson } from './json.js';

class Money {
  amount = 5;
}
const cycle: { list: unknown[]; self?: unknown } = { list: [] };
cycle.list.push({ deep: cycle });
const shared = { a: 1 };
const deep = (levels: number): unknown =>
  Array.from({ length: levels }).reduce<unknown>((inner) => [inner], 1);
const sparse: unknown[] = [1];
sparse[2] = 3;

describe('findNonJson', () => {
  it.each<unknown>([
    null,
    true,
    0,
    -1.5,
    '',
    'text',
    [],
    {},
    [1, [null, { a: [] }]],
    { a: { b: [{ c: null }] } },
    { left: undefined, right: 1 },
    Object.assign(Object.create(null) as object, { a: 1 }),
    [shared, shared, { again: shared }],
    deep(500),
    runInNewContext('({ realm: ["another"] })'),
    JSON.parse('{"__proto__": 1, "constructor": 2}'),
  ])('finds nothing in %j', (value) => {
    expect(findNonJson(value, 'args')).toBeUndefined();
  });

  it.each<[what: string, value: unknown, path: string, found: RegExp]>([
    ['undefined', undefined, 'args', /undefined; send null/],
    ['undefined in a list', [1, undefined], 'args[1]', /undefined; send null/],
    ['a hole in a list', sparse, 'args[1]', /undefined/],
    ['NaN', { price: NaN }, 'args.price', /NaN, which JSON turns into null/],
    ['an infinity', [[-Infinity]], 'args[0][0]', /-Infinity/],
    ['a BigInt', { items: [{}, { price: 5n }] }, 'args.items[1].price', /BigInt; send it as a string/],
    ['a function', { run: function go() {} }, 'args.run', /the function go/],
    ['an arrow function without a name', [() => 1], 'args[0]', /\(anonymous\)/],
    ['a symbol', { key: Symbol('s') }, 'args.key', /Symbol\(s\)/],
    ['a Date', { at: new Date() }, 'args.at', /a Date; send value\.toISOString\(\)/],
    ['a Map', new Map(), 'args', /an instance of Map/],
    ['a Set', [new Set()], 'args[0]', /an instance of Set/],
    [
      'an instance of a class',
      { price: new Money() },
      'args.price',
      /an instance of Money; send a plain object/,
    ],
    ['an Error', [new RangeError('x')], 'args[0]', /an instance of RangeError/],
    ['a Buffer', { body: Buffer.from('x') }, 'args.body', /an instance of Buffer/],
    ['an instance of a class without a name', Object.create({ a: 1 }), 'args', /an instance of/],
    ['a cycle', cycle, 'args.list[0].deep', /a cycle/],
    ['nesting without end', deep(600), `args${'[0]'.repeat(512)}`, /deeper than 512/],
  ])('finds %s', (_what, value, path, found) => {
    const offence = findNonJson(value, 'args');
    expect(offence?.path).toBe(path);
    expect(offence?.found).toMatch(found);
  });

  it('names the first one', () => {
    expect(findNonJson({ a: 1, b: 2n, c: 3n }, 'result')).toMatchObject({ path: 'result.b' });
  });
});
