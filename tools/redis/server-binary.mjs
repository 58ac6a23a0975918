// @ts-check
/**
 * Telling whether a file is a Redis or Valkey server that runs here and is new enough.
 */
import { findExecutable, runCommand } from './command.mjs';

/** The oldest major version that BullMQ accepts. */
const oldestMajor = 5;

/** Names of the servers that speak the protocol, in order of preference. */
export const serverNames = /** @type {const} */ (['redis-server', 'valkey-server']);

/**
 * A server that can be started: a binary with the variables it needs, or an image for a container engine.
 * @typedef {{
 *   source: 'path' | 'cache' | 'homebrew' | 'docker',
 *   binary: string,
 *   env: Record<string, string>,
 *   version: string,
 *   image?: string,
 * }} RedisServer
 */

/**
 * What looking in one place brought: a server, or why there is none.
 * @typedef {{ server: RedisServer } | { reason: string }} Finding
 */

/**
 * Looks for a server on PATH.
 * @returns {Promise<Finding>}
 */
export async function findOnPath() {
  const binaries = serverNames.map(findExecutable).filter((file) => file !== undefined);
  if (binaries.length === 0) return { reason: `neither ${serverNames.join(' nor ')} is on PATH` };
  return firstUsable('path', binaries);
}

/**
 * Returns the first binary that runs and is new enough.
 * @param {RedisServer['source']} source
 * @param {readonly string[]} binaries
 * @param {Record<string, string>} [env]
 * @returns {Promise<Finding>}
 */
export async function firstUsable(source, binaries, env = {}) {
  const reasons = [];
  for (const binary of binaries) {
    const { ok, stdout, failure } = await runCommand(binary, ['--version'], { timeoutMs: 10_000, env });
    const version = /\bv=(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
    if (ok && version && Number.parseInt(version, 10) >= oldestMajor) {
      return { server: { source, binary, env, version } };
    }
    reasons.push(`${binary} ${ok ? `is version ${version ?? 'unknown'}` : `does not run: ${failure}`}`);
  }
  return { reason: reasons.join('; ') };
}
