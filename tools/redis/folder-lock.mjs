// @ts-check
/**
 * A lock between processes that is also a folder to work in: mkdir takes it, a heartbeat keeps it,
 * a rename gives it back. A lock without a heartbeat belonged to a process that is gone; whoever finds
 * it moves it aside together with the unfinished work inside and takes it anew.
 *
 * The lock saves double work; it does not carry correctness. Two holders at once (a process that slept
 * through its heartbeat) still publish whole results only, because publishing is a rename.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const heartbeatMs = 1_000;
const staleAfterMs = 10_000;
const pollMs = 150;
const waitAtMostMs = 300_000;

/**
 * Runs `work` while holding the lock, in the lock's own empty folder, which is deleted afterwards.
 * @template T
 * @param {string} folder
 * @param {(folder: string) => Promise<T>} work
 * @param {() => void} onWait called when another process holds the lock
 * @returns {Promise<T>}
 */
export async function withFolderLock(folder, work, onWait) {
  const token = randomUUID();
  await mkdir(dirname(folder), { recursive: true });
  await take(folder, token, onWait);
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(folder, now, now).catch(() => {});
  }, heartbeatMs);
  try {
    return await work(folder);
  } finally {
    clearInterval(heartbeat);
    if ((await readOwner(folder)) === token) await discard(folder);
  }
}

/**
 * @param {string} folder
 * @param {string} token
 * @param {() => void} onWait
 */
async function take(folder, token, onWait) {
  const deadline = Date.now() + waitAtMostMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await mkdir(folder);
      await writeFile(ownerFile(folder), token);
      return;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    }
    if (Date.now() > deadline) throw new Error(`${folder} has been locked by another process for too long`);
    if (await isStale(folder)) {
      await breakStale(folder);
    } else {
      if (attempt === 1) onWait();
      await sleep(pollMs);
    }
  }
}

/**
 * One process at a time looks again and moves the lock aside, so that nobody moves a lock just taken anew.
 * @param {string} folder
 */
async function breakStale(folder) {
  const breaking = `${folder}.breaking`;
  try {
    await mkdir(breaking);
  } catch {
    if (await isStale(breaking)) await rmdir(breaking).catch(() => {});
    await sleep(pollMs);
    return;
  }
  try {
    if (await isStale(folder)) await discard(folder);
  } finally {
    await rmdir(breaking).catch(() => {});
  }
}

/**
 * @param {string} folder
 */
async function isStale(folder) {
  const status = await stat(folder).catch(() => undefined);
  return status !== undefined && Date.now() - status.mtimeMs > staleAfterMs;
}

/**
 * The lock is free at once; what is inside goes afterwards.
 * @param {string} folder
 */
async function discard(folder) {
  const aside = `${folder}.${randomUUID()}`;
  await rename(folder, aside).catch(() => {});
  await rm(aside, { recursive: true, force: true, maxRetries: 5 }).catch(() => {});
}

/**
 * @param {string} folder
 */
function readOwner(folder) {
  return readFile(ownerFile(folder), 'utf8').catch(() => undefined);
}

/**
 * @param {string} folder
 */
function ownerFile(folder) {
  return join(folder, 'owner');
}
