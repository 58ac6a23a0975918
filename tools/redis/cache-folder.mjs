// @ts-check
/**
 * Where a fetched server is kept: one folder per system release and processor inside the cache folder,
 * so that a working copy shared between a host and a container holds one for each.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { firstUsable, serverNames } from './server-binary.mjs';

/**
 * The cache folder: `TASK_QUEUE_REDIS_CACHE`, or `.cache/redis` of the project.
 * @returns {string}
 */
export function cacheFolder() {
  const named = process.env.TASK_QUEUE_REDIS_CACHE;
  return named ? resolve(named) : fileURLToPath(new URL('../../.cache/redis', import.meta.url));
}

/**
 * The folder of the server for this system. It appears by one rename, so it is complete when it exists.
 * @returns {string}
 */
export function serverFolder() {
  return join(cacheFolder(), `${systemRelease()}-${process.arch}`);
}

/**
 * Looks for a server that was fetched before, or checks one that is about to be kept.
 * @param {string} [folder]
 * @returns {Promise<import('./server-binary.mjs').Finding>}
 */
export async function findInCache(folder = serverFolder()) {
  const inherited = process.env.LD_LIBRARY_PATH;
  const libraries = join(folder, 'lib');
  const env = { LD_LIBRARY_PATH: inherited ? `${libraries}:${inherited}` : libraries };
  const binaries = serverNames.map((name) => join(folder, 'bin', name));
  return firstUsable('cache', binaries, env);
}

function systemRelease() {
  try {
    const lines = readFileSync('/etc/os-release', 'utf8').split('\n');
    /** @param {string} key */
    const value = (key) =>
      lines
        .find((line) => line.startsWith(`${key}=`))
        ?.slice(key.length + 1)
        .replace(/[^\w.]/g, '');
    return `${value('ID') ?? 'linux'}-${value('VERSION_ID') ?? 'rolling'}`;
  } catch {
    return process.platform;
  }
}
