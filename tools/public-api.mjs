// @ts-check
/**
 * What the library exports, read from its entry points: `node tools/public-api.mjs` prints it, `--write` puts
 * it into test/docs/public-api.json, where a change of it is seen in review.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'libs/task-queue/src');

/** @typedef {{ values: string[], types: string[] }} Exports */

const list = join(root, 'test/docs/public-api.json');
const api = await format(JSON.stringify(await readPublicApi()), {
  ...(await resolveConfig(list)),
  parser: 'json',
});
if (process.argv.includes('--write')) await writeFile(list, api);
else process.stdout.write(api);

async function readPublicApi() {
  const folders = (await readdir(source, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory() && existsSync(join(source, entry.name, 'index.ts')))
    .map((entry) => entry.name)
    .sort();
  /** @type {Record<string, Exports>} */
  const entries = { 'nestjs-task-queue': await exportsOf('index.ts') };
  for (const folder of folders)
    entries[`nestjs-task-queue/${folder}`] = await exportsOf(`${folder}/index.ts`);
  return entries;
}

/**
 * Entry points only pass on, each name by name: what is public is decided there and nowhere else.
 * @param {string} file
 * @returns {Promise<Exports>}
 */
async function exportsOf(file) {
  const text = await readFile(join(source, file), 'utf8');
  const { statements } = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  /** @type {Exports} */
  const found = { values: [], types: [] };
  for (const statement of statements) {
    const clause = ts.isExportDeclaration(statement) ? statement.exportClause : undefined;
    if (!ts.isExportDeclaration(statement) || clause === undefined || !ts.isNamedExports(clause)) {
      const line = statement.getText().split('\n')[0];
      throw new Error(`${file} may hold nothing but export { names } from '…', found: ${line}`);
    }
    for (const element of clause.elements) {
      (statement.isTypeOnly || element.isTypeOnly ? found.types : found.values).push(element.name.text);
    }
  }
  return { values: found.values.sort(), types: found.types.sort() };
}
