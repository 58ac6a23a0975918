// @ts-check
/**
 * Runs an entry of the workspace, built first when its sources have changed:
 *
 *   node tools/run.mjs src/main [arguments]       the application
 *   node tools/run.mjs bench/main [arguments]     the benchmarks
 *   node tools/run.mjs torture/main [arguments]   the torture suite
 *
 * It runs in this very process, so signals and the exit code are its own.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt } from './build.mjs';

const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) {
  process.stderr.write('usage: run.mjs <entry without its ending> [arguments]\n');
  process.exit(2);
}

const folder = await ensureBuilt(buildOf(entry)).catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
const file = join(folder, `${entry}.js`);
process.argv = [process.execPath, file, ...args];
await import(pathToFileURL(file).href);

/** @param {string} name */
function buildOf(name) {
  const [place] = name.split('/');
  return place === 'bench' || place === 'torture' ? place : 'app';
}
