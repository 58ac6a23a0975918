// @ts-check
/**
 * The shared libraries that a binary needs and the system lacks, taken from the packages it depends on.
 */
import { copyFile, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { findExecutable, runCommand } from './command.mjs';

/** Libraries of libraries are found one level of dependencies later. */
const deepestLevel = 5;

/** The C library must match the system's loader, so it is never taken from a package. */
const neverTaken = /^(libc6|libc-bin|libgcc-s1|libcrypt1)/;

/**
 * Copies into `libraries` what `binary` lacks, until nothing is missing or no package is left to look into.
 * @param {{
 *   apt: import('./apt.mjs').Apt,
 *   binary: string,
 *   packages: readonly string[],
 *   unpacked: string,
 *   libraries: string,
 * }} search
 */
export async function addMissingLibraries({ apt, binary, packages, unpacked, libraries }) {
  const seen = new Set(packages);
  let level = packages;
  for (let depth = 0; depth < deepestLevel; depth += 1) {
    if ((await missingLibraries(binary, libraries)).length === 0) return;
    level = [...new Set(await apt.dependencies(level))].filter(
      (name) => !seen.has(name) && mayHoldLibraries(name),
    );
    if (level.length === 0) return;
    for (const name of level) seen.add(name);
    await apt.unpack(level, unpacked);
    await copyFound(await missingLibraries(binary, libraries), unpacked, libraries);
  }
}

/**
 * The file names of the libraries that the loader does not find.
 * @param {string} binary
 * @param {string} libraries
 */
async function missingLibraries(binary, libraries) {
  const ldd = findExecutable('ldd') ?? 'ldd';
  const env = { LC_ALL: 'C', LD_LIBRARY_PATH: libraries };
  const { stdout } = await runCommand(ldd, [binary], { timeoutMs: 20_000, env });
  return [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1] ?? '');
}

/**
 * @param {readonly string[]} names
 * @param {string} unpacked
 * @param {string} libraries
 */
async function copyFound(names, unpacked, libraries) {
  const entries = await readdir(unpacked, { recursive: true });
  for (const name of names) {
    const found = entries.find((entry) => entry.endsWith(`/${name}`));
    if (found) await copyFile(await realpath(join(unpacked, found)), join(libraries, name));
  }
}

/**
 * @param {string} packageName
 */
function mayHoldLibraries(packageName) {
  return /^(lib|lua)/.test(packageName) && !neverTaken.test(packageName);
}
