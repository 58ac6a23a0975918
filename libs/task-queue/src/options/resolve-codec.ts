import type { CodecRoles, TaskCodec } from '../codec/task-codec.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { isPlainObject, readObject } from './option-readers.js';

const CODEC =
  'a codec: { id, encode(value), decode(encoded) }, whose id is 1 to 64 letters, digits or "_-.:/@"';

/** Which codec writes, and all that are read. @throws InvalidOptionsError */
export function resolveCodec(given: TaskCodec | CodecRoles | undefined): CodecRoles | undefined {
  if (given === undefined) return undefined;
  if (!isRoles(given)) return Object.freeze({ write: readCodec('codec', given) });
  const { write, read = [] } = readObject('codec', given, ['write', 'read']);
  if (!Array.isArray(read)) throw new InvalidOptionsError('codec.read', 'a list of codecs', read);
  const codecs = read.map((codec: TaskCodec, index) => readCodec(`codec.read[${index}]`, codec));
  const own = write === undefined ? undefined : readCodec('codec.write', write);
  const all = own === undefined ? codecs : [own, ...codecs];
  const twice = all.find(({ id }, at) => all.findIndex((other) => other.id === id) !== at);
  if (twice !== undefined) throw new InvalidOptionsError('codec.read', 'codecs with an id each', twice.id);
  return Object.freeze({ ...(own === undefined ? {} : { write: own }), read: Object.freeze(codecs) });
}

/** A codec may be an instance of a class; roles are written down. */
function isRoles(given: TaskCodec | CodecRoles): given is CodecRoles {
  return isPlainObject(given) && !('encode' in given);
}

function readCodec(path: string, codec: unknown): TaskCodec {
  const { id, encode, decode } = (
    typeof codec === 'object' && codec !== null ? codec : {}
  ) as Partial<TaskCodec>;
  const isNamed = typeof id === 'string' && /^[A-Za-z0-9_.:/@-]{1,64}$/.test(id);
  if (isNamed && typeof encode === 'function' && typeof decode === 'function') return codec as TaskCodec;
  throw new InvalidOptionsError(path, CODEC, codec);
}
