// @ts-check
/**
 * The process between a caller and its private server. It starts the server as its own child, in a session
 * of its own (so a Ctrl-C in the caller's terminal does not reach it), and ends it when it is told to or when
 * the channel to the caller closes, which the system does however the caller ends, `kill -9` included.
 *
 *   start → running → (server exits by itself: the folder is kept) → stop | channel closed → ended, deleted
 */
import { execFile, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * What to start. Without `dir` the server gets a temporary folder, deleted at the end.
 * `afterwards` is a command that removes what the server's end may leave behind.
 * @typedef {{
 *   type: 'start',
 *   command: string[],
 *   env: Record<string, string>,
 *   dir?: string,
 *   afterwards?: string[],
 * }} StartOrder
 */

/**
 * What the keeper tells its caller.
 * @typedef {{ type: 'started', pid: number, dir: string, log: string }
 *   | { type: 'exited', reason: string }} KeeperReport
 */

const graceMs = 3_000;

/** @type {import('node:child_process').ChildProcess | undefined} */
let server;
/** @type {StartOrder | undefined} */
let order;
/** @type {string | undefined} */
let temporaryFolder;
let isEnding = false;

process.on('message', (/** @type {StartOrder | { type: 'stop' }} */ message) => {
  if (message.type === 'start') start(message);
  else void end();
});
process.on('disconnect', () => void end());
process.on('SIGTERM', () => void end());
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});

/**
 * @param {StartOrder} received
 */
function start(received) {
  order = received;
  if (!order.dir) temporaryFolder = realpathSync(mkdtempSync(join(tmpdir(), 'task-queue-redis-')));
  const dir = order.dir ?? temporaryFolder ?? '';
  const log = join(dir, 'redis.log');
  try {
    mkdirSync(dir, { recursive: true });
    const output = openSync(log, 'a');
    const [file = '', ...args] = order.command;
    server = spawn(file, args, {
      cwd: dir,
      env: { ...process.env, ...order.env },
      stdio: ['ignore', output, output],
    });
    closeSync(output);
  } catch (error) {
    report({ type: 'exited', reason: String(error) });
    return;
  }
  server.once('error', (error) => report({ type: 'exited', reason: error.message }));
  server.once('exit', (code, signal) => report({ type: 'exited', reason: signal ?? `exit code ${code}` }));
  if (server.pid) report({ type: 'started', pid: server.pid, dir, log });
}

async function end() {
  if (isEnding) return;
  isEnding = true;
  if (server && isRunning(server)) {
    // A server frozen by SIGSTOP takes SIGTERM only once it continues.
    server.kill('SIGTERM');
    server.kill('SIGCONT');
    await exitWithin(server, graceMs);
  }
  await runAfterwards();
  if (server && isRunning(server)) {
    server.kill('SIGKILL');
    await exitWithin(server, graceMs);
  }
  if (temporaryFolder) rmSync(temporaryFolder, { recursive: true, force: true, maxRetries: 5 });
  process.exit(0);
}

/**
 * @param {import('node:child_process').ChildProcess} child
 */
function isRunning(child) {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {number} ms
 * @returns {Promise<void>}
 */
function exitWithin(child, ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * @returns {Promise<void>}
 */
function runAfterwards() {
  const [file, ...args] = order?.afterwards ?? [];
  if (!file) return Promise.resolve();
  return new Promise((resolve) => execFile(file, args, { timeout: 20_000 }, () => resolve()));
}

/**
 * @param {KeeperReport} message
 */
function report(message) {
  // The caller may be gone in this very moment; then the channel's end says the rest.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
