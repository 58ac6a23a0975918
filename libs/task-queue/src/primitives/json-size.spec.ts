import { heaviestPath, jsonBound, jsonBytes } from './json-size.js';

describe('jsonBound', () => {
  it.each<[unknown]>([
    [null],
    [true],
    [-1.234567890123456e-300],
    [''],
    ['plain'],
    ['\u0000\u001f"\\'],
    ['äöü €'],
    ['\u{1f600}'.repeat(50)],
    [[]],
    [{}],
    [[1, [2, [3, 'x']], { a: { b: [null, false] } }]],
    [{ 'key "with" quotes\n': 1, left: undefined }],
  ])('of %j is never less than what it takes', (value) => {
    expect(jsonBound(value)).toBeGreaterThanOrEqual(jsonBytes(value));
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['a BigInt', 1n],
    ['a function', () => 1],
    ['NaN', [Number.NaN]],
    ['a Date', { at: new Date(0) }],
    ['a hole', new Array(1)],
    ['undefined in a list', [undefined]],
    ['an object without prototype', Object.create(null)],
    ['what is nested very deep', Array.from({ length: 40 }).reduce((inner) => [inner], 0 as unknown)],
  ])('is in doubt about %s', (_what, value) => {
    expect(jsonBound(value)).toBeLessThan(0);
  });

  it('comes to an end with a cycle', () => {
    const loop: unknown[] = [];
    loop.push(loop);
    expect(jsonBound(loop)).toBeLessThan(0);
  });
});

describe('heaviestPath', () => {
  const text = 'x'.repeat(1_000);

  it('leads down to what makes a value large', () => {
    expect(heaviestPath([1, { small: 'y', rows: [{ id: 1, body: text }] }], 'args')).toBe(
      'args[1].rows[0].body',
    );
  });

  it('stops where no single part is most of it', () => {
    expect(heaviestPath([{ rows: [text, text, text] }], 'args')).toBe('args[0].rows');
    expect(heaviestPath([text, text], 'args')).toBe('args');
  });
});
