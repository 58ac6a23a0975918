import type { TaskCodec } from '../codec/task-codec.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { resolveCodec } from './resolve-codec.js';

const superjson: TaskCodec = { id: 'superjson', encode: (value) => value, decode: (value) => value };

describe('the option codec', () => {
  it('is a codec, or who writes and who is read', () => {
    expect(resolveCodec(undefined)).toBeUndefined();
    expect(resolveCodec(superjson)).toEqual({ write: superjson });
    expect(resolveCodec({ read: [superjson] })).toEqual({ read: [superjson] });
    class Own implements TaskCodec {
      readonly id = 'own';
      encode = (value: unknown): unknown => value;
      decode = (value: unknown): unknown => value;
    }
    const own = new Own();
    expect(resolveCodec(own)?.write).toBe(own);
  });

  it.each([
    ['codec', 'superjson'],
    ['codec', { encode: () => 1, decode: () => 1 }],
    ['codec', { ...superjson, id: 'with a blank' }],
    ['codec.write', { write: { id: 'x' } }],
    ['codec.read', { read: superjson }],
    ['codec.read[0]', { read: [1] }],
    ['codec.read', { write: superjson, read: [superjson] }],
    ['codec.reads', { reads: [superjson] }],
  ])('%s is refused where it is none', (path, given) => {
    expect(() => resolveCodec(given as never)).toThrow(InvalidOptionsError);
    expect(() => resolveCodec(given as never)).toThrow(path);
  });
});
