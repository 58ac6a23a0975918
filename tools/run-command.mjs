// @ts-check
/**
 * Runs a command to its end with its output kept, never longer than it may, and ends all of its processes
 * with it.
 */
import { spawn } from 'node:child_process';

/**
 * How a command ended. `failure` is empty when it succeeded.
 * @typedef {{ failure: string, output: string, ms: number }} Outcome
 */

const farewellMs = 15_000;

/** @type {Set<number>} */
const groups = new Set();

/**
 * - `limitMs`: how long it may take;
 * - `farewell`: once it has printed this it is done, and only has a moment left to end by itself.
 *
 * @param {readonly string[]} command
 * @param {{ cwd: string, limitMs?: number, farewell?: string, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<Outcome>}
 */
export function runCommand([file = '', ...args], { cwd, limitMs = 600_000, farewell, env = {} }) {
  return new Promise((resolve) => {
    const start = performance.now();
    /** @type {Buffer[]} */
    const chunks = [];
    let failure = '';
    // A group of its own, so that workers of workers can be ended too.
    const child = spawn(file, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    if (child.pid !== undefined) groups.add(child.pid);
    /** @type {(ms: number, reason: string) => NodeJS.Timeout} */
    const endAfter = (ms, reason) =>
      setTimeout(() => {
        failure = reason;
        endGroup(child.pid, 'SIGKILL');
      }, ms);
    let limit = endAfter(limitMs, `no end within ${Math.round(limitMs / 1000)} s`);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        chunks.push(chunk);
        if (farewell === undefined || !chunk.includes(farewell)) return;
        clearTimeout(limit);
        limit = endAfter(farewellMs, 'done, but something that is left open kept it from ending');
      });
    }
    child.once('error', (error) => (failure = error.message));
    child.once('close', (code, signal) => {
      clearTimeout(limit);
      if (child.pid !== undefined) groups.delete(child.pid);
      if (failure === '' && signal !== null) failure = `ended by ${signal}`;
      if (failure === '' && code !== 0) failure = `exit code ${code}`;
      resolve({
        failure,
        output: Buffer.concat(chunks).toString('utf8'),
        ms: performance.now() - start,
      });
    });
  });
}

/**
 * Asks all commands that still run to end.
 * @param {NodeJS.Signals} signal
 */
export function endCommands(signal) {
  for (const pid of groups) endGroup(pid, signal);
}

/**
 * @param {number | undefined} pid
 * @param {NodeJS.Signals} signal
 */
function endGroup(pid, signal) {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}
