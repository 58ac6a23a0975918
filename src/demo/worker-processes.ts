import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ENTRY = fileURLToPath(new URL('worker.js', import.meta.url));
const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 10_000;

/** One worker process. */
export interface WorkerProcess {
  readonly number: number;
  readonly pid: number | undefined;
}

interface Running extends WorkerProcess {
  readonly child: ChildProcess;
}

/** Worker processes that can be killed and replaced while they work. */
export class WorkerProcesses {
  readonly #running: Running[] = [];
  #started = 0;
  #stopping = false;

  constructor(
    private readonly options: {
      readonly env: NodeJS.ProcessEnv;
      /** File descriptor that their output goes to. */
      readonly log: number;
      /** Called when one ends that nobody told to. */
      readonly onLost: (error: Error) => void;
    },
  ) {}

  /** Starts one more, and resolves when it works. */
  async start(): Promise<WorkerProcess> {
    const { env, log } = this.options;
    const child = fork(ENTRY, { env, stdio: ['ignore', log, log, 'ipc'], execArgv: [] });
    const worker: Running = { number: ++this.#started, pid: child.pid, child };
    this.#running.push(worker);
    child.once('exit', (code, signal) => {
      if (this.#stopping || !this.#running.includes(worker)) return;
      this.#forget(worker);
      this.options.onLost(
        new Error(`worker ${worker.number} ended by itself (${signal ?? `exit code ${code}`})`),
      );
    });
    const signal = AbortSignal.timeout(READY_WITHIN_MS);
    await Promise.race([once(child, 'message', { signal }), once(child, 'exit', { signal })]);
    return worker;
  }

  /** Kills the one that works longest, as a crash or the kernel's OOM killer would: it can say nothing any more. */
  async killOne(): Promise<WorkerProcess> {
    const worker = this.#running.shift();
    if (worker === undefined) throw new Error('there is no worker to kill');
    const gone = once(worker.child, 'exit');
    worker.child.kill('SIGKILL');
    await gone;
    return worker;
  }

  /** Stops all of them in order; those that do not stop are killed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running.splice(0).map(({ child }) => end(child)));
  }

  #forget(worker: Running): void {
    this.#running.splice(this.#running.indexOf(worker), 1);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
  child.kill('SIGTERM');
  await gone;
  clearTimeout(impatience);
}
