// @ts-check
/**
 * A server that Homebrew has installed without linking it into PATH. Nothing is installed from here.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findExecutable, runCommand } from './command.mjs';
import { firstUsable } from './server-binary.mjs';

const formulae = /** @type {const} */ ([
  ['redis', 'redis-server'],
  ['valkey', 'valkey-server'],
]);

/**
 * Looks for a server in the folders of the installed formulae.
 * @returns {Promise<import('./server-binary.mjs').Finding>}
 */
export async function findInHomebrew() {
  const brew = findExecutable('brew');
  if (!brew) return { reason: 'brew is not on PATH' };
  const binaries = [];
  for (const [formula, server] of formulae) {
    // The prefix is printed for a formula that is not installed, too.
    const { ok, stdout } = await runCommand(brew, ['--prefix', formula], { timeoutMs: 20_000 });
    const binary = join(stdout.trim(), 'bin', server);
    if (ok && existsSync(binary)) binaries.push(binary);
  }
  if (binaries.length === 0) return { reason: 'neither the formula redis nor valkey is installed' };
  return firstUsable('homebrew', binaries);
}
