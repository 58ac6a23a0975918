import type { JsonValue } from 'nestjs-task-queue';

const KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'length',
  'then',
  'toJSON',
  'v',
  'hook',
  'node',
  'args',
  'input',
  '',
  'a.b',
  '0',
  'key',
  'token',
];

const TEXTS = [
  '',
  '\ud800',
  'a\udfffb',
  '\u0000',
  '\u2028\u2029',
  '"}]}',
  '__proto__',
  '[object Object]',
  '1~x.body',
  'NaN',
  '${1}',
  '{{x}}',
  '\u202e',
  '%s%d%n',
  '-1',
];

const NUMBERS = [
  0,
  -0,
  1,
  -1,
  0.1,
  1e308,
  5e-324,
  2 ** 53,
  -(2 ** 53),
  1e21,
  2 ** 31,
  NaN,
  Infinity,
  -Infinity,
];

/** Makes data as nobody would write it who means well; the same for the same seed. */
export class Hostile {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 to 1. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(bound: number): number {
    return Math.floor(this.random() * bound);
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  text(): string {
    if (this.chance(0.01)) return this.pick(['x', '\ud83d\ude00', '\ud800']).repeat(1 + this.below(100_000));
    return this.chance(0.7)
      ? this.pick(TEXTS)
      : String.fromCharCode(...Array.from({ length: 5 }, () => this.below(65_536)));
  }

  /** What JSON can carry. */
  json(depth = 4): JsonValue {
    if (this.chance(0.02)) return this.#nested(this.below(400));
    const kind = depth === 0 ? this.below(4) : this.below(7);
    switch (kind) {
      case 0:
        return this.text();
      case 1: {
        const number = this.pick(NUMBERS);
        return Number.isFinite(number) && !Object.is(number, -0) ? number : 7;
      }
      case 2:
        return this.chance(0.5);
      case 3:
        return null;
      case 4:
        return Array.from({ length: this.below(5) }, () => this.json(depth - 1));
      default: {
        const members = Array.from(
          { length: this.below(5) },
          () => `${JSON.stringify(this.pick(KEYS))}:${JSON.stringify(this.json(depth - 1))}`,
        );
        // JSON.parse makes a key of __proto__, a literal would set the prototype.
        return JSON.parse(`{${members.join()}}`) as JsonValue;
      }
    }
  }

  /** Anything at all. */
  value(depth = 3): unknown {
    switch (this.below(22)) {
      case 0:
        return BigInt(this.below(1_000));
      case 1:
        return () => undefined;
      case 2:
        return Symbol(this.text());
      case 3:
        return undefined;
      case 4:
        return this.pick(NUMBERS);
      case 5:
        return new Date(this.pick([0, NaN, 1e15]));
      case 6: {
        const cycle: Record<string, unknown> = { key: 1 };
        cycle['self'] = cycle;
        return cycle;
      }
      case 7:
        return Object.defineProperty({}, this.pick(KEYS), {
          enumerable: true,
          get: () => {
            throw new Error('a getter that throws');
          },
        });
      case 8:
        return new Proxy(this.chance(0.5) ? {} : [], {
          get: () => {
            throw new Error('a trap that throws');
          },
          ownKeys: () => {
            throw new Error('a trap that throws');
          },
          getPrototypeOf: () => {
            throw new Error('a trap that throws');
          },
        });
      case 9:
        return { key: 1, toJSON: () => ({ other: 2 }) };
      case 10:
        return Object.assign(Object.create({ inherited: 1 }) as object, { own: 1 });
      case 11:
        return Object.assign(Object.create(null) as object, { key: this.json(1) });
      case 12:
        return new Map([[this.text(), this.json(1)]]);
      case 13: {
        const sparse: unknown[] = [];
        sparse[this.below(20)] = 1;
        return sparse;
      }
      case 14:
        return this.#nested(300 + this.below(5_000));
      case 15:
        return depth === 0 ? null : [this.value(depth - 1), this.json(1)];
      case 16:
        return depth === 0 ? null : { key: this.value(depth - 1) };
      case 17:
        return new Uint8Array(3);
      default:
        return this.json();
    }
  }

  /** Anything that can be thrown. */
  thrown(): unknown {
    const error: Error & Record<string, unknown> = new (this.pick([Error, TypeError, RangeError]))(
      this.text(),
    ) as never;
    switch (this.below(8)) {
      case 0:
        return this.value();
      case 1:
        error.cause = error;
        return error;
      case 2:
        error.name = this.pick(['__proto__', 'constructor', 'ChordError', '', 'x'.repeat(50_000)]);
        return error;
      case 3:
        error.stack = 'x'.repeat(this.below(200_000));
        return error;
      case 4:
        return Object.assign(error, {
          [this.pick(KEYS)]: this.value(),
          code: this.value(1),
          message: this.json(1),
        });
      case 5:
        return { name: this.json(1), message: this.json(1), stack: this.json(1), cause: this.value() };
      case 6:
        for (let at = 0, inner: Error = error; at < 50; at++)
          inner = (inner.cause = new Error(this.text())) as Error;
        return error;
      default:
        return Object.defineProperty(error, this.pick(['message', 'stack', 'name', 'cause', 'code']), {
          get: () => {
            throw new Error('a getter that throws');
          },
        });
    }
  }

  /** A canvas that was changed here and there. */
  canvas(depth = 3): unknown {
    const node = this.#node(depth);
    if (this.chance(0.5)) return node;
    const key = this.pick([
      'kind',
      'task',
      'args',
      'steps',
      'members',
      'header',
      'body',
      'options',
      'links',
      'errbacks',
      'each',
    ]);
    return Object.defineProperty({ ...node }, key, {
      value: this.chance(0.5) ? this.json() : this.value(),
      enumerable: true,
    }) as object;
  }

  /** The data of a job: one of ours that was changed, or anything else. */
  envelope(): JsonValue {
    const task = { v: 1, args: [this.json(2)] };
    const input = this.pick<JsonValue>([
      { from: 'value', value: this.json(2) },
      { from: 'members', node: this.id(), size: this.pick([0, 3, -1, 1e9, 0.5]), as: 'values' },
      { from: 'child', queue: '_canvas', id: this.id() },
      { from: 'failure', failure: {}, members: this.id(), size: 2 },
      { from: 'elsewhere' },
      this.json(2),
    ]);
    const node = {
      v: 1,
      node: this.pick(['task', 'chain', 'group', 'chord', 'sentinel', 'other', '__proto__']),
      size: 2,
    };
    return this.pick<() => JsonValue>([
      () => this.json(),
      // What other transports of Nest send.
      () => ({ pattern: this.json(1), data: this.json(2), id: this.id() }),
      () => ({ pattern: 'echo', response: this.json(2), isDisposed: true, v: 1, args: this.json(1) }),
      () => ({ ...task, v: this.pick([0, 2, '1', null]) }) as JsonValue,
      () =>
        ({
          ...task,
          [this.pick([
            'headers',
            'expires',
            'timeLimitMs',
            'softTimeLimitMs',
            'each',
            'done',
            'retried',
            'replaced',
            'attempts',
            'lost',
          ])]: this.json(2),
        }) as JsonValue,
      () => ({ ...task, input }) as JsonValue,
      () => ({ v: 1, hook: this.pick(['failure', 'other', '__proto__']), taskId: this.id(), task: 'echo' }),
      () =>
        ({
          ...node,
          rest: this.json(2),
          body: this.json(2),
          links: this.json(2),
          recovery: this.text(),
        }) as JsonValue,
    ])();
  }

  /** A message to a microservice: a pattern, a payload, and perhaps options. */
  packet(): { readonly pattern: unknown; readonly data: unknown; readonly options?: object } {
    const pattern = this.pick<() => unknown>([
      () => this.text(),
      () => this.json(2),
      () => this.value(2),
      () => ({ cmd: this.text(), [this.pick(KEYS)]: this.value(1) }),
      () => 'echo',
    ])();
    const key = this.pick([
      'queue',
      'countdown',
      'headers',
      'taskId',
      'priority',
      'timeout',
      '__proto__',
      'link',
    ]);
    const options = Object.defineProperty({}, key, { value: this.value(2), enumerable: true }) as object;
    return { pattern, data: this.value(), ...(this.chance(0.4) ? { options } : {}) };
  }

  /** An id that somebody made up. */
  id(): string {
    const parts = [
      '0~a',
      'zz~b',
      '',
      '.',
      '..',
      'body',
      'link.0',
      'errback.1',
      'hook.0',
      'replacement.0',
      '999999999',
      this.text().slice(0, 50),
    ];
    return Array.from({ length: 1 + this.below(6) }, () => this.pick(parts)).join(
      this.pick(['.', '~', ':', '']),
    );
  }

  #node(depth: number): Record<string, unknown> {
    const below = (): unknown => (depth === 0 ? this.#node(0) : this.canvas(depth - 1));
    const several = (): unknown[] => Array.from({ length: this.below(3) }, below);
    switch (depth === 0 ? 0 : this.below(4)) {
      case 1:
        return { kind: 'chain', steps: several() };
      case 2:
        return { kind: 'group', members: several() };
      case 3:
        return { kind: 'chord', header: several(), body: below() };
      default:
        return { kind: 'task', task: this.pick(['echo', 'x', '__proto__']), args: [this.json(1)] };
    }
  }

  #nested(levels: number): JsonValue {
    let value: JsonValue = 1;
    for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { key: value };
    return value;
  }
}

/** What says of itself that one of these codecs has written it, alone or among others, and was written by nobody. */
export function forgedValue(hostile: Hostile, codecs: readonly string[]): JsonValue {
  const kinds = ['Date', 'map', 'set', 'bigint', 'regexp', 'URL', 'Error', 'undefined', 'class', '__proto__'];
  const tags = [
    'list',
    'map',
    'object',
    'bare',
    'date',
    'bigint',
    'number',
    'undefined',
    'null',
    '__proto__',
  ];
  const content = hostile.pick<() => JsonValue>([
    () => hostile.json(),
    () => [hostile.pick(tags), hostile.json(1), hostile.json(1)],
    () => [hostile.pick(tags), hostile.text(), [hostile.pick(tags), hostile.json(1)]],
    () => ['object', '__proto__', ['object', 'polluted', true]],
    () => ({ json: hostile.json(2), meta: hostile.json(2) }),
    () => ({ json: hostile.json(2), meta: { values: { [hostile.text()]: [hostile.pick(kinds)] } } }),
    () => ({ json: hostile.json(2), meta: { values: [hostile.pick(kinds)] } }),
    () => ({ json: {}, meta: { values: { '__proto__.polluted': [hostile.pick(kinds)] } } }),
    () => ({ json: hostile.json(2), meta: { referentialEqualities: hostile.json(2), v: 1 } }),
  ])();
  const forged = { $codec: hostile.chance(0.1) ? hostile.text() : hostile.pick(codecs), $value: content };
  return hostile.pick<() => JsonValue>([
    () => forged,
    () => ({ ...forged, more: 1 }),
    () => [forged, { at: forged }],
    () => ({ status: 'fulfilled', value: forged }),
    () => ({ request: { args: [forged] }, error: { data: forged }, reason: 'error' }),
    () => ({ ...forged, $value: [hostile.pick(tags), forged as JsonValue] }),
  ])();
}
