// @ts-check
/**
 * A server of the caller's own: on a free loopback port, in a folder of its own, gone when the caller is.
 */
import { execFileSync } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { resolve as resolvePath } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { askRedis } from './ask-redis.mjs';
import { dockerRunArguments } from './docker.mjs';
import { startKept } from './keeper-client.mjs';

const host = '127.0.0.1';
const readyWithinMs = 10_000;
/** Short, because on a port that is taken somebody else may listen and never answer. */
const answerWithinMs = 500;
const portAttempts = 5;

/**
 * Ports below every system's ephemeral range: a client that reconnects while its Redis is down could
 * otherwise be given the very port it dials as its own, and would keep it from the restarted server.
 */
const portRange = /** @type {const} */ ([20_000, 32_000]);

/**
 * @typedef {{ appendOnly?: boolean, port?: number, dir?: string, args?: readonly string[] }} PrivateServerOptions
 */

/**
 * @typedef {{
 *   url: string,
 *   host: string,
 *   port: number,
 *   pid?: number,
 *   binary?: string,
 *   dir: string,
 *   stop(): Promise<void>,
 *   kill(signal?: NodeJS.Signals | number): void,
 * }} PrivateServer
 */

/**
 * Starts a server and resolves once it answers PING.
 * @param {import('./server-binary.mjs').RedisServer} server
 * @param {PrivateServerOptions} options
 * @returns {Promise<PrivateServer>}
 */
export async function startPrivateServer(server, options) {
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await findFreePort());
    try {
      return await startOnPort(server, port, options);
    } catch (error) {
      // Somebody else may take the port between the look and the start.
      const isPortTaken = /address already in use|port is already allocated/i.test(String(error));
      if (!isPortTaken || options.port !== undefined || attempt === portAttempts) throw error;
    }
  }
}

/**
 * @param {import('./server-binary.mjs').RedisServer} server
 * @param {number} port
 * @param {PrivateServerOptions} options
 * @returns {Promise<PrivateServer>}
 */
async function startOnPort(server, port, options) {
  const dir = options.dir === undefined ? undefined : resolvePath(options.dir);
  const container = server.image ? `task-queue-redis-${randomUUID()}` : undefined;
  const settings = serverSettings(server, port, options);
  const args =
    server.image && container
      ? dockerRunArguments({ image: server.image, name: container, port, dir, settings })
      : settings;
  const kept = await startKept({
    command: [server.binary, ...args],
    env: server.env,
    dir,
    afterwards: container ? [server.binary, 'rm', '-f', container] : undefined,
  });
  try {
    await answersPing(port, kept, container === undefined);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const tail = await logTail(kept.log);
    await kept.stop();
    throw new Error(`${server.binary} did not become ready on ${host}:${port}: ${reason}${tail}`);
  }
  kept.release();
  return {
    url: `redis://${host}:${port}`,
    host,
    port,
    ...(container ? {} : { pid: kept.pid, binary: server.binary }),
    dir: kept.dir,
    stop: kept.stop,
    kill(signal = 'SIGKILL') {
      if (kept.exitReason() !== undefined) return;
      if (container)
        execFileSync(server.binary, ['kill', `--signal=${signal}`, container], { stdio: 'ignore' });
      else process.kill(kept.pid, signal);
    },
  };
}

/**
 * @param {import('./server-binary.mjs').RedisServer} server
 * @param {number} port
 * @param {PrivateServerOptions} options
 * @returns {string[]}
 */
function serverSettings(server, port, { appendOnly = false, args = [] }) {
  // Inside a container the loopback is the container's own; the published port is bound to the host's.
  const network = server.image
    ? ['--port', '6379', '--bind', '0.0.0.0', '--protected-mode', 'no']
    : ['--port', String(port), '--bind', host, '--protected-mode', 'yes'];
  const isDebugGuarded = Number.parseInt(server.version, 10) >= 7;
  return [
    ...network,
    ...['--save', ''],
    ...(appendOnly ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no']),
    ...['--maxmemory-policy', 'noeviction'],
    ...(isDebugGuarded ? ['--enable-debug-command', 'local'] : []),
    ...args,
  ];
}

/**
 * Waits for PONG, and makes sure that it is this server and not another one on the same port that says it.
 * @param {number} port
 * @param {import('./keeper-client.mjs').KeptServer} kept
 * @param {boolean} hasPid
 */
async function answersPing(port, kept, hasPid) {
  const deadline = Date.now() + readyWithinMs;
  let last = 'no answer';
  for (let pauseMs = 5; Date.now() < deadline; pauseMs = Math.min(pauseMs * 2, 100)) {
    const ended = kept.exitReason();
    if (ended !== undefined) throw new Error(`the server ended (${ended})`);
    try {
      await askRedis({ host, port }, ['PING'], answerWithinMs);
      if (!hasPid) return;
      const info = await askRedis({ host, port }, ['INFO', 'server'], answerWithinMs);
      if (info.includes(`process_id:${kept.pid}\r\n`)) return;
      last = 'address already in use by another Redis';
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
      // With a password of the caller's this refusal is the sign of life.
      if (last.startsWith('NOAUTH')) return;
    }
    await sleep(pauseMs);
  }
  throw new Error(`no PONG within ${readyWithinMs / 1000} s (${last})`);
}

/**
 * @param {string} log
 */
async function logTail(log) {
  const text = await readFile(log, 'utf8').catch(() => '');
  const lines = text.trimEnd().split('\n').slice(-12);
  return text === '' ? '' : `\nThe end of its log:\n  ${lines.join('\n  ')}`;
}

/** A port that nobody listens on now. */
export async function findFreePort() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(...portRange);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port between ${portRange.join(' and ')} on ${host}`);
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
