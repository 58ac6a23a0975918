// @ts-check
/**
 * A real Redis for the demo, the benchmarks and the tests, on any machine:
 *
 *   REDIS_URL → redis-server or valkey-server on PATH → cache folder, filled by apt → Homebrew → Docker
 */
import { findServer } from './choices.mjs';
import { useGivenRedis } from './given-redis.mjs';
import { startPrivateServer } from './private-server.mjs';

/**
 * How to start a Redis. All but `quiet` and `private` concern an own server and mean nothing for REDIS_URL.
 *
 * - `appendOnly`: every write is in the append-only file before it is answered; off by default.
 * - `port`, `dir`: a certain port and folder, e.g. to restart a server with its data; by default a free port
 *   and a temporary folder. A folder given here is never deleted.
 * - `args`: further arguments of the server, e.g. `['--maxmemory', '64mb']`.
 * - `quiet`: no line on standard error about fetching and starting.
 * - `private`: always an own server, never REDIS_URL: for callers that restart, freeze or flush it.
 *
 * @typedef {{
 *   appendOnly?: boolean,
 *   port?: number,
 *   dir?: string,
 *   args?: string[],
 *   quiet?: boolean,
 *   private?: boolean,
 * }} StartOptions
 */

/**
 * A Redis in use. An own server ends with `stop()`, and by itself when this process ends in whatever way;
 * it does not keep this process running. `kill` sends the server a signal and is for own servers only.
 * @typedef {{
 *   url: string,
 *   host: string,
 *   port: number,
 *   pid?: number,
 *   binary?: string,
 *   dir?: string,
 *   source: 'REDIS_URL' | 'path' | 'cache' | 'homebrew' | 'docker',
 *   stop(): Promise<void>,
 *   kill(signal?: NodeJS.Signals | number): void,
 * }} Redis
 */

/**
 * Uses the Redis of REDIS_URL or starts an own one, and resolves once it answers.
 * @param {StartOptions} [options]
 * @returns {Promise<Redis>}
 */
export async function startRedis(options = {}) {
  const givenUrl = process.env.REDIS_URL;
  if (givenUrl && !options.private) {
    return {
      ...(await useGivenRedis(givenUrl)),
      source: 'REDIS_URL',
      stop: async () => {},
      kill: refuseToKill,
    };
  }
  const server = await locateRedis(options);
  const started = await startPrivateServer(server, options);
  reporter(options)(`${server.binary} ${server.version} listens on ${started.url}`);
  return { ...started, source: server.source };
}

/**
 * Finds a server that can be started, fetching it if necessary, and starts nothing.
 * @param {{ quiet?: boolean, private?: boolean }} [options]
 * @returns {Promise<import('./server-binary.mjs').RedisServer>}
 */
export function locateRedis(options = {}) {
  return findServer(reporter(options), options.private ?? false);
}

/**
 * @param {{ quiet?: boolean }} options
 * @returns {(message: string) => void}
 */
function reporter({ quiet = false }) {
  return quiet ? () => {} : (message) => void process.stderr.write(`redis: ${message}\n`);
}

function refuseToKill() {
  throw new Error('The Redis of REDIS_URL belongs to somebody else; ask for one with { private: true }');
}
