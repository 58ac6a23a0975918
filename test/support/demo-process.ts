/**
 * The demo as its users run it: compiled, in a process of its own. The build lies apart from dist/, so that
 * nothing else that builds meanwhile can take it away.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';

const root = join(__dirname, '../..');
const BUILD = 'demo-build-';
const AN_HOUR_MS = 3_600_000;

/** What became of a process. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A build of the demo that exists for one spec. */
export class DemoBuild {
  readonly #running = new Set<ChildProcess>();

  private constructor(private readonly folder: string) {}

  static async make(): Promise<DemoBuild> {
    // Below the project: the compiled modules find its packages from there.
    await mkdir(join(root, '.cache'), { recursive: true });
    await forgetOldBuilds();
    const folder = await mkdtemp(join(root, '.cache', BUILD));
    const config = join(folder, 'tsconfig.json');
    await writeFile(
      config,
      JSON.stringify({
        extends: '../../tsconfig.build.json',
        compilerOptions: { outDir: './out', declaration: false, sourceMap: false },
        include: ['../../src', '../../libs/task-queue/src'],
      }),
    );
    const nest = join(root, 'node_modules/@nestjs/cli/bin/nest.js');
    await promisify(execFile)(process.execPath, [nest, 'build', '--path', relative(root, config)], {
      cwd: root,
    });
    return new DemoBuild(folder);
  }

  /** Runs a compiled entry. */
  start(entry: string, args: readonly string[], env: NodeJS.ProcessEnv): DemoProcess {
    const child = spawn(process.execPath, [join(this.folder, 'out/src', entry), ...args], {
      // None of the variables that Jest sets, and none that this application reads.
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    return new DemoProcess(child);
  }

  async remove(): Promise<void> {
    for (const child of this.#running) child.kill('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Those of runs that were killed before they could clear up. */
async function forgetOldBuilds(): Promise<void> {
  const cache = join(root, '.cache');
  for (const name of await readdir(cache)) {
    const build = join(cache, name);
    if (!name.startsWith(BUILD)) continue;
    // Another run may clear up at the same time.
    const age = await stat(build).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > AN_HOUR_MS) await rm(build, { recursive: true, force: true });
  }
}

/** A process that runs, with everything that it has said. */
export class DemoProcess {
  readonly #output = { stdout: '', stderr: '' };
  readonly #watchers = new Set<() => void>();
  readonly ended: Promise<Ended>;

  constructor(private readonly child: ChildProcess) {
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        this.#output[name] += text;
        for (const look of this.#watchers) look();
      });
    }
    this.ended = once(child, 'close').then(([code, signal]: (number | NodeJS.Signals | null)[]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      ...this.#output,
    }));
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Waits until it has said something; ends with an error when it ends without that. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    let look = (): void => undefined;
    const said = new Promise<RegExpExecArray>((resolve) => {
      look = () => {
        const match = pattern.exec(this.#output.stdout + this.#output.stderr);
        if (match) resolve(match);
      };
      this.#watchers.add(look);
      look();
    });
    const tooEarly = this.ended.then(({ code, stdout, stderr }) => {
      throw new Error(`it ended (${code}) and never said ${pattern}:\n${stdout}\n${stderr}`);
    });
    try {
      return await Promise.race([said, tooEarly]);
    } finally {
      tooEarly.catch(() => undefined);
      this.#watchers.delete(look);
    }
  }
}

/** The rows of the summary that the demo prints, as numbers. */
export function summaryRows({ stdout }: Ended): Record<string, number> {
  const rows = [...stdout.matchAll(/^ {2}([a-z]+(?: [a-z]+)?) +(\d+(?:\.\d+)?)(?: s|\/s)?(?: .*)?$/gm)];
  return Object.fromEntries(rows.map(([, label, value]) => [label, Number(value)]));
}
