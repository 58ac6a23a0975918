import { serializeError } from './serialize-error.js';

class Coded extends Error {
  override readonly name = 'Coded';
  readonly code = 'NON_RETRYABLE';
}

class OutOfStock extends Error {
  override readonly name = 'OutOfStock';
  readonly code = 'E_STOCK';
  readonly articles = ['cup'];
  readonly handler = () => undefined;
  readonly seen = new Date(0);
  readonly amount = 5n;
}

const throwing = (property: string): object =>
  Object.defineProperty(new Error('x'), property, {
    get() {
      throw new Error(`${property} throws`);
    },
    enumerable: true,
  });
const nested = (depth: number): Error =>
  new Error(`level ${depth}`, depth === 0 ? {} : { cause: nested(depth - 1) });

describe('serializeError', () => {
  it('keeps name, message, code, stack, causes and own data that JSON can carry', () => {
    const error = new OutOfStock('no cups', { cause: new TypeError('inner') });

    expect(serializeError(error)).toEqual({
      name: 'OutOfStock',
      message: 'no cups',
      code: 'E_STOCK',
      stack: error.stack,
      cause: { name: 'TypeError', message: 'inner', stack: (error.cause as Error).stack },
      data: { articles: ['cup'] },
    });
  });

  it('names an error after its class where the class gives it no name', () => {
    class Declined extends Error {}
    class Busy extends OutOfStock {}
    const aborted = new DOMException('x', 'AbortError');
    const errors = [new Declined('x'), new Busy('x'), new Error('x'), aborted];
    expect(errors.map((error) => serializeError(error).name)).toEqual([
      'Declined',
      'OutOfStock',
      'Error',
      'AbortError',
    ]);
  });

  it.each<[what: string, thrown: unknown, expected: object]>([
    ['undefined', undefined, { name: 'NonError', message: 'a task threw undefined' }],
    ['null', null, { name: 'NonError', message: 'a task threw null' }],
    ['a text', 'just text', { name: 'NonError', message: 'a task threw "just text"' }],
    ['a number', 7, { name: 'NonError', message: 'a task threw 7' }],
    ['a BigInt', 7n, { name: 'NonError', message: 'a task threw 7' }],
    ['a symbol', Symbol('s'), { name: 'NonError', message: 'a task threw Symbol(s)' }],
    ['a function', Math.max, { name: 'NonError' }],
    [
      'a plain object',
      { reason: 42 },
      { name: 'Object', message: 'a task threw {"reason":42}', data: { reason: 42 } },
    ],
    ['an object without a prototype', Object.create(null), { name: 'Error', message: 'a task threw {}' }],
    [
      'an object that cannot be shown',
      { price: 5n },
      { name: 'Object', message: 'a task threw an object that cannot be shown' },
    ],
    ['an error without a message', new RangeError(), { name: 'RangeError' }],
    [
      'an error whose name is no text',
      Object.assign(new Error('x'), { name: 5 }),
      { name: 'Error', message: 'x' },
    ],
    ['a numeric code', Object.assign(new Error('x'), { code: 404 }), { code: '404' }],
    [
      'a cause that is no error',
      new Error('x', { cause: 'why' }),
      { cause: { name: 'NonError', message: 'a task threw "why"' } },
    ],
    ['no cause', new Error('x', { cause: null }), { message: 'x' }],
    ['an error of the library', new Coded('x'), { name: 'Coded', code: 'NON_RETRYABLE' }],
    [
      'what looks like an error',
      { name: 'Odd', message: 'from elsewhere', stack: 's' },
      { name: 'Odd', message: 'from elsewhere', stack: 's' },
    ],
    [
      'a getter that throws: message',
      throwing('message'),
      { name: 'Error', message: expect.stringContaining('a task threw') as string },
    ],
    ['a getter that throws: name', throwing('name'), { name: 'Error', message: 'x' }],
    ['a getter that throws: stack', throwing('stack'), { name: 'Error', message: 'x' }],
    ['a getter that throws: cause', throwing('cause'), { name: 'Error', message: 'x' }],
    ['a getter that throws: own data', throwing('details'), { name: 'Error', message: 'x' }],
    [
      'a proxy that throws at everything',
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('no');
          },
          ownKeys: () => {
            throw new Error('no');
          },
        },
      ),
      { name: 'Error' },
    ],
  ])('of %s', (_what, thrown, expected) => {
    const serialized = serializeError(thrown);
    expect(serialized).toMatchObject(expected);
    expect(JSON.parse(JSON.stringify(serialized))).toEqual(serialized);
  });

  it('is bounded in every part', () => {
    const error = Object.assign(new Error('m'.repeat(50_000)), {
      big: 'd'.repeat(50_000),
      name: 'n'.repeat(5_000),
    });
    error.stack = 's'.repeat(50_000);

    const { name, message, stack, data } = serializeError(error);

    expect(name.length).toBeLessThan(300);
    expect(message.length).toBeLessThan(4_100);
    expect(stack?.length).toBeLessThan(8_100);
    expect(message).toContain('50000 characters');
    expect(JSON.stringify(data).length).toBeLessThan(200);
  });

  it('follows five causes and ends with a cycle', () => {
    const chain = serializeError(nested(20));
    let levels = 0;
    for (let at: typeof chain | undefined = chain; at; at = at.cause) levels += 1;
    expect(levels).toBe(6);

    const cycle = new Error('cycle') as Error & { cause: unknown };
    cycle.cause = cycle;
    expect(() => JSON.stringify(serializeError(cycle))).not.toThrow();
  });

  it('own data named __proto__ reaches nothing', () => {
    const error = Object.assign(new Error('x'), JSON.parse('{"__proto__":{"polluted":true}}') as object);
    Object.defineProperty(error, '__proto__', { value: { polluted: true }, enumerable: true });

    expect(serializeError(error).data).toBeUndefined();
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});
