import { deserialize, serialize } from 'superjson';
import { UndecodablePayloadError } from '../errors/task.errors.js';
import { compileRedaction } from '../failure/redaction.js';
import { redactStored } from './redact-stored.js';
import { PLAIN_VALUES, StoredValues } from './stored-values.js';
import type { TaskCodec } from './task-codec.js';
import { storedCanvas, writeCall } from './write-arguments.js';

const superjson: TaskCodec = { id: 'superjson', encode: serialize, decode: deserialize };
const values = new StoredValues({ write: superjson });
const AT = new Date(0);

/** As it is after it was stored. */
const stored = (value: unknown): unknown => JSON.parse(JSON.stringify(values.writeIfPossible(value)));

describe('a stored value', () => {
  it('names its codec; null, and everything without a codec, is as it was', () => {
    expect(stored('text')).toEqual({ $codec: 'superjson', $value: { json: 'text' } });
    expect(stored(null)).toBeNull();
    expect(PLAIN_VALUES.write(AT)).toEqual({ stored: AT });
  });

  it('is read wherever this library puts one', () => {
    const failure = { request: { args: [stored(AT)] }, error: { data: { at: stored(AT) } }, reason: 'error' };
    expect(values.read([[stored(AT)], { status: 'fulfilled', value: stored(AT) }, failure, 'plain'])).toEqual(
      [
        [AT],
        { status: 'fulfilled', value: AT },
        { request: { args: [AT] }, error: { data: { at: AT } }, reason: 'error' },
        'plain',
      ],
    );
  });

  it('that holds none is not copied, and headers and the payload of a dead letter are left alone', () => {
    const plain = [{ a: [1, { b: 'c' }] }];
    expect(values.read(plain)).toBe(plain);
    const letter = { failure: {}, payload: { args: [stored(AT)] }, headers: { forged: stored(AT) } };
    expect(values.read(letter)).toBe(letter);
  });

  it('of an unknown codec is refused, but in what is told of a failure it stays as it is', () => {
    const foreign = { $codec: 'other', $value: 1 };
    expect(() => values.read([foreign])).toThrow(UndecodablePayloadError);
    expect(() => PLAIN_VALUES.read([[foreign]])).toThrow(/this application has no codec/);
    expect(() => PLAIN_VALUES.read({ status: 'fulfilled', value: foreign })).toThrow(UndecodablePayloadError);
    const failure = { request: { args: [foreign] }, error: {}, reason: 'error' };
    expect(values.read([failure])).toEqual([failure]);
    expect(values.readIfPossible([foreign])).toEqual([foreign]);
  });

  it.each<[string, TaskCodec['decode'], RegExp]>([
    ['throws', () => (null as never as { x: 1 }).x, /The codec "c" could not read/],
    ['throws nonsense', () => nonsense(), /it threw something that cannot be read/],
    ['promises', () => Promise.reject(new Error('late')), /answered with a promise/],
  ])('of a codec that %s is refused', (_what, decode, message) => {
    const broken = new StoredValues({ read: [{ id: 'c', encode: (value) => value, decode }] });
    expect(() => broken.read({ $codec: 'c', $value: 1 })).toThrow(message);
  });

  it('deeper than anything of ours is left as it is', () => {
    let deep: unknown = stored(AT);
    for (let level = 0; level < 2_000; level++) deep = [deep];
    expect(() => values.read(deep)).not.toThrow();
  });

  it('a key __proto__ beside one stays a key', () => {
    const given = JSON.parse(`{"__proto__":{"polluted":1},"at":${JSON.stringify(stored(AT))}}`) as object;
    const read = values.read(given) as object;
    expect(Object.keys(read)).toEqual(['__proto__', 'at']);
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
  });
});

describe('arguments', () => {
  const refusing = new StoredValues({
    write: {
      id: 'c',
      encode: (value) => {
        if (value === 'no') throw new Error('not this');
        return value;
      },
      decode: (value) => value,
    },
  });

  it('are written each by itself; those of a list of items by item', () => {
    expect(writeCall('t', [[AT]], undefined, values)).toEqual([stored([AT])]);
    expect(writeCall('t', [[AT]], 'map', values)).toEqual([[stored(AT)]]);
    expect(writeCall('t', [[[AT, 1]]], 'starmap', values)).toEqual([[[stored(AT), stored(1)]]]);
  });

  it.each([
    [{ kind: 'task', task: 't', args: [1, 'no'] }, 'args[1]'],
    [{ kind: 'task', task: 't', args: [[1, 'no']], each: 'map' }, 'args[0][1]'],
    [{ kind: 'task', task: 't', args: [[[1], [1, 'no']]], each: 'starmap' }, 'args[0][1][1]'],
    [{ kind: 'group', members: [{ kind: 'task', task: 't', args: ['no'] }] }, 'members[0].args[0]'],
  ])('that the codec refuses are named by their path', (canvas, path) => {
    const limits = { argumentBytes: 1_000, canvasBytes: 1_000 };
    expect(() => storedCanvas(canvas as never, limits, refusing)).toThrow(
      expect.objectContaining({ code: 'UNSERIALIZABLE_ARGUMENT', taskName: 't', path }) as Error,
    );
  });

  it('are JSON once they are written: what the codec left in them is refused', () => {
    const canvas = { kind: 'task', task: 't', args: [AT] } as never;
    expect(() => storedCanvas(canvas, { argumentBytes: 1_000, canvasBytes: 1_000 }, refusing)).toThrow(
      expect.objectContaining({ path: 'args[0].$value' }) as Error,
    );
  });
});

describe('redaction of what is stored', () => {
  const redact = compileRedaction(['password', 'args[*].pin']);
  const redacted = (args: unknown[]): unknown => values.read(redactStored('args', args, redact, values));

  it('goes by names and paths of what was written, and keeps the rest as it is stored', () => {
    const args = [stored({ password: 'x', at: AT }), stored({ pin: 1n }), stored(AT), { password: 'x' }];
    expect(redacted(args)).toEqual([
      { password: '[redacted]', at: AT },
      { pin: '[redacted]' },
      AT,
      { password: '[redacted]' },
    ]);
    const [, , kept] = redactStored('args', args, redact, values);
    expect(kept).toBe(args[2]);
  });

  it('hides as a whole what has no end', () => {
    let bomb: unknown = 1;
    for (let level = 0; level < 40; level++) bomb = { a: bomb, b: bomb };
    const small = stored({ at: AT });
    // References to one object stay such in the text: it is short, and endless to walk through.
    const value = { $codec: 'bombs', $value: null };
    const reading = new StoredValues({
      write: superjson,
      read: [{ id: 'bombs', encode: (given) => given, decode: () => bomb }],
    });
    expect(redactStored('args', [value, small], redact, reading)).toEqual(['[redacted]', small]);
  });
});

function nonsense(): never {
  throw Object.defineProperty(new Error(), 'message', {
    get: () => {
      throw new Error('a getter that throws');
    },
  });
}
