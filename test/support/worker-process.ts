/**
 * Worker applications in processes of their own, so that they can be killed. TypeScript is turned into
 * modules that Node runs, once per state of the sources, and kept in the cache folder.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { transformSync } from '@swc/core';

const root = join(__dirname, '../..');
const cache = join(root, '.cache/test-workers');
const library = join(root, 'libs/task-queue/src');
const workers = join(root, 'test/support/workers');
const LIBRARY_NAME = 'nestjs-task-queue';
const A_DAY_MS = 86_400_000;

/** Builds the library and the workers, unless that was done for the same sources. */
export function buildWorkers(): string {
  const sources = [...sourcesOf(library), ...sourcesOf(workers)];
  const hash = createHash('sha256').update(process.version);
  for (const file of sources) hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file));
  const built = join(cache, hash.digest('hex').slice(0, 16));
  if (existsSync(built)) return built;
  // Several specs may build at the same time: the first one that is done wins.
  const draft = `${built}.${randomUUID().slice(0, 8)}`;
  for (const file of sources) {
    const target = file.startsWith(library)
      ? join(draft, 'node_modules', LIBRARY_NAME, relative(library, file))
      : join(draft, relative(workers, file));
    write(target.replace(/\.ts$/, '.js'), transpile(file));
  }
  write(join(draft, 'package.json'), JSON.stringify({ type: 'module' }));
  write(
    join(draft, 'node_modules', LIBRARY_NAME, 'package.json'),
    JSON.stringify({ name: LIBRARY_NAME, type: 'module', exports: { '.': './index.js' } }),
  );
  try {
    renameSync(draft, built);
  } catch {
    rmSync(draft, { recursive: true, force: true });
  }
  forgetOldBuilds();
  return built;
}

/** A worker application that runs. */
export class WorkerProcess {
  readonly #output: string[] = [];

  private constructor(private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => this.#output.push(chunk.toString()));
    }
  }

  /** Starts a worker and resolves as soon as it serves its queues. */
  static async start(script: string, options: unknown): Promise<WorkerProcess> {
    const child = fork(join(buildWorkers(), `${script}.js`), {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '', WORKER_OPTIONS: JSON.stringify(options) },
    });
    const worker = new WorkerProcess(child);
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the worker ended before it was ready:\n${worker.output}`);
    });
    ended.catch(() => undefined);
    await Promise.race([once(child, 'message'), ended]);
    return worker;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  get exitCode(): number | null {
    return this.child.exitCode;
  }

  /** What it wrote so far. */
  get output(): string {
    return this.#output.join('');
  }

  /** Sends a signal, and goes on. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** How the process ended, when it has. */
  async ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (this.alive) await once(this.child, 'exit');
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }

  /** Sends a signal and resolves when the process is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    if (!this.alive) return;
    const gone = once(this.child, 'exit');
    this.child.kill(signal);
    await gone;
  }

  /** Lets the clock of its machine jump. Only for workers that say that they can. */
  jump(ms: number): void {
    this.child.send({ jumpMs: ms });
  }

  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }
}

function sourcesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /(?<!spec|test-d|\.d)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function transpile(file: string): string {
  return transformSync(readFileSync(file, 'utf8'), {
    filename: file,
    swcrc: false,
    sourceMaps: 'inline',
    jsc: {
      target: 'es2022',
      keepClassNames: true,
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
    },
    module: { type: 'es6' },
  }).code;
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function forgetOldBuilds(): void {
  for (const name of readdirSync(cache)) {
    const build = join(cache, name);
    if (Date.now() - statSync(build).mtimeMs > A_DAY_MS) rmSync(build, { recursive: true, force: true });
  }
}
