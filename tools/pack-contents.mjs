// @ts-check
/**
 * What may be in the package, and what must be.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/**
 * @typedef {{
 *   name: string,
 *   exports: Record<string, string | Record<string, string>>,
 *   main: string,
 *   types: string,
 *   peerDependencies: Record<string, string>,
 *   peerDependenciesMeta?: Record<string, { optional?: boolean }>,
 * }} Manifest
 */

const beside = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'];

/**
 * Looks at the files of a package that is laid out in `folder`.
 * @param {string} folder
 * @param {readonly string[]} files those that are packed
 * @returns {Promise<string[]>} what is wrong
 */
export async function checkPackage(folder, files) {
  const packed = new Set(files);
  /** @type {Manifest} */
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const problems = [
    ...beside.filter((file) => !packed.has(file)).map((file) => `${file} is not packed`),
    ...files.filter((file) => !beside.includes(file)).flatMap((file) => strayFile(file, packed)),
    ...targetsOf(manifest)
      .filter(([, target]) => !packed.has(target))
      .map(([entry, target]) => `${entry} leads to ${target}, which is not packed`),
  ];
  for (const file of files.filter((name) => /\.(?:js|d\.ts)$/.test(name))) {
    problems.push(...(await brokenMap(folder, file)));
  }
  return problems;
}

/**
 * @param {string} file
 * @param {ReadonlySet<string>} packed
 */
function strayFile(file, packed) {
  if (!file.startsWith('dist/')) return [`${file} lies outside dist`];
  if (/\.(?:spec|int-spec|test-d|fixture)\./.test(file)) return [`${file} belongs to the tests`];
  if (!/\.(?:js|d\.ts|js\.map|d\.ts\.map)$/.test(file)) return [`${file} is neither code nor declaration`];
  if (file.endsWith('.js') && !packed.has(file.replace(/\.js$/, '.d.ts')))
    return [`${file} has no declaration`];
  return [];
}

/**
 * @param {Manifest} manifest
 * @returns {[entry: string, target: string][]}
 */
function targetsOf({ main, types, exports }) {
  /** @type {[string, string][]} */
  const found = [
    ['main', main],
    ['types', types],
  ];
  for (const [entry, target] of Object.entries(exports)) {
    const targets = typeof target === 'string' ? [target] : Object.values(target);
    found.push(.../** @type {[string, string][]} */ (targets.map((path) => [`exports ${entry}`, path])));
  }
  return found.map(([entry, path]) => [entry, path.replace(/^\.\//, '')]);
}

/**
 * A source map is of use only when it is packed, together with what it leads to or with its text inside.
 * @param {string} folder
 * @param {string} file
 * @returns {Promise<string[]>}
 */
async function brokenMap(folder, file) {
  const text = await readFile(join(folder, file), 'utf8');
  const named = /^\/\/# sourceMappingURL=(.*)$/m.exec(text)?.[1];
  if (named === undefined || named.startsWith('data:')) return [];
  const map = join(folder, dirname(file), named);
  if (!existsSync(map)) return [`${file} names the source map ${named}, which does not exist`];
  const { sources = [], sourceRoot = '', sourcesContent } = JSON.parse(await readFile(map, 'utf8'));
  if (sourcesContent) return [];
  return sources
    .map((/** @type {string} */ source) => resolve(dirname(map), sourceRoot, source))
    .filter((/** @type {string} */ source) => !source.startsWith(folder) || !existsSync(source))
    .map((/** @type {string} */ source) => `${file} has a source map to ${source}, which is not packed`);
}
