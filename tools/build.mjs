// @ts-check
/**
 * Builds of the application, the library, the benchmarks and the torture suite, by Nest's own builder, which also turns the
 * library's name into relative paths. `node tools/build.mjs` makes the first two anew; `ensureBuilt` does
 * nothing when a build of the same sources is there.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './run-command.mjs';

/** The folder of the workspace. */
export const root = fileURLToPath(new URL('..', import.meta.url));

const nest = join(root, 'node_modules/@nestjs/cli/bin/nest.js');
const settings = ['package.json', 'package-lock.json', 'nest-cli.json', 'tsconfig.json'];

/**
 * - `args`: what Nest is told;
 * - `inputs`: folders and files that decide about the result;
 * - `output`: the folder that it fills.
 */
const builds = {
  app: {
    args: ['build'],
    inputs: ['src', 'libs/task-queue/src', 'tsconfig.build.json'],
    output: 'dist',
  },
  library: {
    args: ['build', 'task-queue'],
    inputs: ['libs/task-queue/src', 'libs/task-queue/tsconfig.lib.json'],
    output: 'libs/task-queue/dist',
  },
  bench: {
    args: ['build', '--path', 'tools/tsconfig.bench.json'],
    inputs: ['bench', 'src', 'libs/task-queue/src', 'tsconfig.build.json', 'tools/tsconfig.bench.json'],
    output: '.cache/bench',
  },
  torture: {
    args: ['build', '--path', 'tools/tsconfig.torture.json'],
    inputs: [
      'torture',
      'test/support',
      'libs/task-queue/src',
      'tsconfig.build.json',
      'tools/tsconfig.torture.json',
    ],
    output: '.cache/torture',
  },
};

/** @typedef {keyof typeof builds} BuildName */

/**
 * Builds, unless a build of the same sources is there.
 * @param {BuildName} name
 * @returns {Promise<string>} the folder of the result
 */
export async function ensureBuilt(name) {
  const { inputs, output } = builds[name];
  const wanted = await hashOf([...inputs, ...settings]);
  const present = await readFile(stampOf(name), 'utf8').catch(() => '');
  if (present !== wanted || !existsSync(join(root, output))) await build(name);
  return join(root, output);
}

/**
 * @param {BuildName} name
 * @returns {Promise<void>}
 */
export async function build(name) {
  const { args, inputs } = builds[name];
  await rm(stampOf(name), { force: true });
  const sources = await hashOf([...inputs, ...settings]);
  const { failure, output } = await runCommand([process.execPath, nest, ...args], { cwd: root });
  if (failure) throw new Error(`The build of the ${name} failed (${failure}):\n${output.trim()}`);
  await mkdir(join(root, '.cache/builds'), { recursive: true });
  await writeFile(stampOf(name), sources);
}

/** @param {BuildName} name */
function stampOf(name) {
  return join(root, '.cache/builds', `${name}.sha256`);
}

/** @param {readonly string[]} paths */
async function hashOf(paths) {
  const hash = createHash('sha256').update(process.version);
  for (const path of paths) {
    for (const file of await filesOf(path)) {
      hash.update(`\0${file}\0`).update(await readFile(join(root, file)).catch(() => ''));
    }
  }
  return hash.digest('hex');
}

/** @param {string} path */
async function filesOf(path) {
  const entries = await readdir(join(root, path), { recursive: true, withFileTypes: true }).catch(
    () => undefined,
  );
  if (entries === undefined) return [path];
  return entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.spec.ts'))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .sort();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = await Promise.allSettled([build('app'), build('library')]);
  for (const result of results) {
    if (result.status === 'rejected') {
      process.stderr.write(`${/** @type {Error} */ (result.reason).message}\n`);
      process.exitCode = 1;
    }
  }
}
