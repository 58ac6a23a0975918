// @ts-check
/**
 * A server from the Debian or Ubuntu archive, put into the cache folder: the binary and those of its shared
 * libraries that the system lacks. Nothing is installed.
 *
 *   lock folder: download → unpack → pick binary and libraries → try it → rename to the final folder
 */
import { copyFile, lstat, mkdir, readlink, rename, rm } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { createApt, missingAptTools } from './apt.mjs';
import { cacheFolder, findInCache, serverFolder } from './cache-folder.mjs';
import { findExecutable } from './command.mjs';
import { withFolderLock } from './folder-lock.mjs';
import { serverNames } from './server-binary.mjs';
import { addMissingLibraries } from './shared-libraries.mjs';

/**
 * Returns the server of the cache folder, fetching it first where there is none that runs.
 * @param {(message: string) => void} report
 * @returns {Promise<import('./server-binary.mjs').Finding>}
 */
export async function findOrFetch(report) {
  const cached = await findInCache();
  if ('server' in cached) return cached;
  const missing = [...missingAptTools(), ...(findExecutable('ldd') ? [] : ['ldd'])];
  if (process.platform !== 'linux' || missing.length > 0) {
    return {
      reason: `nothing in ${cacheFolder()}, and fetching needs ${missing.join(', ') || 'Linux'} on PATH`,
    };
  }
  try {
    return await withFolderLock(
      `${serverFolder()}.lock`,
      (folder) => fetchUnlessThere(folder, report),
      () => report('waiting for another process that fetches a Redis server, or has crashed over it'),
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { reason: `fetching into ${cacheFolder()} failed: ${reason}` };
  }
}

/**
 * @param {string} folder
 * @param {(message: string) => void} report
 */
async function fetchUnlessThere(folder, report) {
  const cached = await findInCache();
  if ('server' in cached) return cached;
  report(`fetching a Redis server into ${relative(process.cwd(), serverFolder()) || '.'}`);
  const ready = await unpackServer(folder, report);
  const fetched = await findInCache(ready);
  if (!('server' in fetched)) return fetched;
  // What was there does not run any more: the system was upgraded since.
  await rename(serverFolder(), join(folder, 'outdated')).catch(() => {});
  await rename(ready, serverFolder()).catch(async (error) => {
    if (!('server' in (await findInCache()))) throw error;
  });
  return findInCache();
}

/**
 * Tries the indexes of the system first; missing or outdated, they are fetched anew into the folder.
 * @param {string} folder
 * @param {(message: string) => void} report
 */
async function unpackServer(folder, report) {
  const failures = [];
  for (const indexes of /** @type {const} */ (['system', 'own'])) {
    const apt = await createApt(folder, indexes);
    if (indexes === 'own') {
      report('reading the package indexes');
      await apt.update();
    }
    for (const server of serverNames) {
      try {
        return await unpackOne(apt, folder, server);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
  }
  throw new Error([...new Set(failures)].join(' '));
}

/**
 * A server's package is named like its binary, but the file itself may live in the package of its tools.
 * @param {import('./apt.mjs').Apt} apt
 * @param {string} folder
 * @param {string} server
 */
async function unpackOne(apt, folder, server) {
  const unpacked = join(folder, 'unpacked');
  const ready = join(folder, 'ready');
  await Promise.all([unpacked, ready].map((path) => rm(path, { recursive: true, force: true })));
  await mkdir(join(ready, 'bin'), { recursive: true });
  await mkdir(join(ready, 'lib'));

  const tools = (await apt.dependencies([server])).filter((name) => /^(redis|valkey)-/.test(name));
  const packages = [server, ...tools];
  await apt.unpack(packages, unpacked);
  const binary = join(ready, 'bin', server);
  await copyFile(await followLink(join(unpacked, 'usr/bin', server)), binary);
  await addMissingLibraries({ apt, binary, packages, unpacked, libraries: join(ready, 'lib') });
  return ready;
}

/**
 * The server is a link to its checking tool beside it; an absolute target would lead out of the folder.
 * @param {string} file
 */
async function followLink(file) {
  const isLink = (await lstat(file)).isSymbolicLink();
  return isLink ? join(file, '..', basename(await readlink(file))) : file;
}
