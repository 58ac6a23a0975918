// @ts-check
/**
 * The caller's side of the keeper: starts it, follows the server's life, and stops both.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const keeperFile = fileURLToPath(new URL('./keeper.mjs', import.meta.url));
const stopWithinMs = 40_000;

/**
 * A server with its keeper. `exitReason` is set once the server has ended.
 * @typedef {{
 *   pid: number,
 *   dir: string,
 *   log: string,
 *   exitReason: () => string | undefined,
 *   release: () => void,
 *   stop: () => Promise<void>,
 * }} KeptServer
 */

/**
 * Starts a server under a keeper. Until `release` is called the keeper holds the caller's event loop open.
 * @param {Omit<import('./keeper.mjs').StartOrder, 'type'>} order
 * @returns {Promise<KeptServer>}
 */
export async function startKept(order) {
  // Debugger, loader and coverage settings are meant for the caller alone.
  const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...env } = process.env;
  const keeper = fork(keeperFile, {
    detached: true,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env,
  });
  /** @type {string | undefined} */
  let exitReason;
  /** @type {Promise<void>} */
  const ended = new Promise((resolve) => {
    const end = () => {
      exitReason ??= 'its keeper has ended';
      resolve();
    };
    keeper.once('exit', end);
    keeper.on('error', end);
  });

  /** @type {Promise<void> | undefined} */
  let stopping;
  const stop = () => {
    stopping ??= stopKeeper(keeper, ended);
    return stopping;
  };

  const started = await new Promise((resolve, reject) => {
    keeper.on('error', reject);
    keeper.once('exit', () => reject(new Error('the keeper ended before the server started')));
    keeper.on('message', (/** @type {import('./keeper.mjs').KeeperReport} */ report) => {
      if (report.type === 'started') resolve(report);
      else {
        exitReason = report.reason;
        reject(new Error(report.reason));
      }
    });
    keeper.send({ type: 'start', ...order });
  }).catch(async (error) => {
    await stop();
    throw error;
  });

  const { pid, dir, log } = started;
  const release = () => {
    keeper.unref();
    keeper.channel?.unref();
  };
  return { pid, dir, log, exitReason: () => exitReason, release, stop };
}

/**
 * @param {import('node:child_process').ChildProcess} keeper
 * @param {Promise<void>} ended
 */
async function stopKeeper(keeper, ended) {
  keeper.ref();
  keeper.channel?.ref();
  if (keeper.connected) keeper.send({ type: 'stop' }, () => {});
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('the Redis server does not stop')), stopWithinMs);
  });
  await Promise.race([ended, late]).finally(() => clearTimeout(timer));
}
