// @ts-check
/**
 * What a user gets from npm: the library is packed, its tarball is looked at, installed with its peers into a new
 * application outside the workspace, compiled there against its own declarations, and run on a real Redis.
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, root } from './build.mjs';
import { checkPackage } from './pack-contents.mjs';
import { startRedis } from './redis/provision.mjs';
import { runCommand } from './run-command.mjs';

const library = join(root, 'libs/task-queue');
const compilers = {
  'TypeScript 7': join(root, 'node_modules/@typescript/native/bin/tsc'),
  'TypeScript 6': join(root, 'node_modules/typescript/bin/tsc'),
};

const folder = await mkdtemp(join(tmpdir(), 'pack-check-'));
try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function main() {
  await ensureBuilt('library');
  const tarball = await pack(join(folder, 'package'));
  const app = join(folder, 'app');
  const manifest = await readJson(join(library, 'package.json'));
  await createApp(app, tarball, manifest);
  for (const [name, compiler] of Object.entries(compilers)) await compile(app, name, compiler);

  const redis = await startRedis({ quiet: true });
  try {
    const env = { REDIS_URL: redis.url };
    // First without the optional peers: the main entry point and plain health must do without them.
    await run('running the application', ['node', 'out/main.js'], app, env);
    await run('running a process pool', ['node', 'out/pool.js'], app, env);
    await run('looking at its health', ['node', 'out/health.js'], app, env);
    await install(app, optionalPeersOf(manifest));
    for (const [name, compiler] of Object.entries(compilers)) await compile(app, name, compiler, true);
    await run('running the health check of terminus', ['node', 'out/terminus.js'], app, env);
    await run('running the microservice', ['node', 'out/microservice.js'], app, env);
    await run('resolving the exports', ['node', '--input-type=module', '-e', importAll(manifest)], app);
  } finally {
    await redis.stop();
  }
}

/**
 * Packs the library together with the files that stand at the root of the workspace.
 * @param {string} stage
 * @returns {Promise<string>} path of the tarball
 */
async function pack(stage) {
  await mkdir(stage);
  await cp(join(library, 'dist'), join(stage, 'dist'), { recursive: true });
  await cp(join(library, 'package.json'), join(stage, 'package.json'));
  for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md']) {
    const own = join(library, name);
    await cp(existsSync(own) ? own : join(root, name), join(stage, name));
  }
  const json = await run('packing', ['npm', 'pack', '--silent', '--json', '--ignore-scripts'], stage);
  const [packed] = JSON.parse(json);
  const problems = await checkPackage(
    stage,
    packed.files.map((/** @type {{ path: string }} */ { path }) => path),
  );
  if (problems.length > 0) throw new Error(`The package is not as it should be:\n  ${problems.join('\n  ')}`);
  return join(stage, packed.filename);
}

/**
 * @param {string} app
 * @param {string} tarball
 * @param {Manifest} manifest
 */
async function createApp(app, tarball, manifest) {
  await mkdir(app);
  await cp(join(root, 'test/pack/app'), join(app, 'src'), { recursive: true });
  await writeJson(join(app, 'package.json'), { name: 'app', private: true, type: 'module' });
  await writeJson(join(app, 'tsconfig.json'), {
    compilerOptions: {
      module: 'nodenext',
      target: 'ES2023',
      lib: ['ES2023'],
      types: ['node'],
      strict: true,
      skipLibCheck: false,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      rootDir: 'src',
      outDir: 'out',
    },
  });
  const optional = optionalPeersOf(manifest).map(nameOf);
  const peers = Object.entries(manifest.peerDependencies).filter(([name]) => !optional.includes(name));
  const { devDependencies } = await readJson(join(root, 'package.json'));
  await install(app, [
    tarball,
    ...peers.map(([name, range]) => `${name}@${range}`),
    `@types/node@${devDependencies['@types/node']}`,
  ]);
}

/**
 * @param {string} app
 * @param {readonly string[]} packages
 */
async function install(app, packages) {
  const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('installing', ['npm', 'install', ...flags, ...packages], app);
}

/**
 * @param {string} app
 * @param {string} name
 * @param {string} compiler
 * @param {boolean} [withOptional]
 */
async function compile(app, name, compiler, withOptional = false) {
  const files = [
    'main.ts',
    'pool.ts',
    'health.ts',
    ...(withOptional ? ['terminus.ts', 'microservice.ts'] : []),
  ];
  const project = join(app, 'tsconfig.app.json');
  await writeJson(project, { extends: './tsconfig.json', files: files.map((file) => `src/${file}`) });
  await run(`compiling with ${name}`, ['node', compiler, '--project', project, '--pretty', 'false'], app);
}

/**
 * A program that loads every entry point.
 * @param {Manifest} manifest
 */
function importAll({ name, exports }) {
  const entries = Object.keys(exports).map((entry) => `${name}${entry.slice(1)}`);
  return entries
    .map((entry) =>
      entry.endsWith('.json')
        ? `await import('${entry}', { with: { type: 'json' } });`
        : `if (Object.keys(await import('${entry}')).length === 0) throw new Error('${entry} exports nothing');`,
    )
    .join('\n');
}

/** @param {Manifest} manifest */
function optionalPeersOf({ peerDependencies, peerDependenciesMeta = {} }) {
  return Object.entries(peerDependencies)
    .filter(([name]) => peerDependenciesMeta[name]?.optional)
    .map(([name, range]) => `${name}@${range}`);
}

/** @param {string} specifier */
function nameOf(specifier) {
  return specifier.slice(0, specifier.lastIndexOf('@'));
}

/**
 * @param {string} what
 * @param {readonly string[]} command
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<string>} what it printed
 */
async function run(what, command, cwd, env = {}) {
  const { failure, output, ms } = await runCommand(command, { cwd, env, limitMs: 240_000 });
  if (failure) throw new Error(`Pack check: ${what} failed (${failure}):\n${output.trim()}`);
  if (process.stdout.isTTY) process.stdout.write(`${what}: ${(ms / 1000).toFixed(1)} s\n`);
  return output;
}

/** @typedef {import('./pack-contents.mjs').Manifest} Manifest */

/** @param {string} file */
async function readJson(file) {
  return JSON.parse(await readFile(file, 'utf8'));
}

/**
 * @param {string} file
 * @param {unknown} value
 */
async function writeJson(file, value) {
  await writeFile(file, JSON.stringify(value, null, 2));
}
