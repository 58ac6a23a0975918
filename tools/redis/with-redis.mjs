#!/usr/bin/env node
// @ts-check
/**
 * Runs a command with a Redis: `node tools/redis/with-redis.mjs [--private] [--append-only] -- <command…>`.
 * The command finds the Redis in REDIS_URL; its exit code is passed on.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { startRedis } from './provision.mjs';

const usage = 'usage: with-redis.mjs [--private] [--append-only] -- <command> [arguments]';

process.exitCode = await main(process.argv.slice(2));

/**
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
async function main(args) {
  const split = args.indexOf('--');
  const flags = args.slice(0, Math.max(split, 0));
  const [command, ...rest] = args.slice(split + 1);
  if (split === -1 || !command || flags.some((flag) => !['--private', '--append-only'].includes(flag))) {
    process.stderr.write(`${usage}\n`);
    return 2;
  }
  try {
    const redis = await startRedis({
      private: flags.includes('--private'),
      appendOnly: flags.includes('--append-only'),
    });
    const code = await runWith(redis.url, command, rest);
    await redis.stop();
    return code;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

/**
 * @param {string} url
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
function runWith(url, command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, REDIS_URL: url } });
    forwardSignals(child);
    child.once('error', (error) => {
      process.stderr.write(`${command} cannot be run: ${error.message}\n`);
      resolve(127);
    });
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
  });
}

/**
 * A terminal sends Ctrl-C to the whole foreground group; forwarding it would make it two for the command,
 * and many take the second one as "now".
 * @param {import('node:child_process').ChildProcess} child
 */
function forwardSignals(child) {
  const isOnTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  process.on('SIGINT', () => {
    if (!isOnTerminal) child.kill('SIGINT');
  });
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGHUP', () => child.kill('SIGHUP'));
}
