import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  type HostedAttempt,
  HandlerLostError,
  type HostedCall,
  type ProcessExit,
} from '../backend/handler-host.js';
import type { StoredValues } from '../codec/stored-values.js';
import type { SerializedError } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';
import type { Interruption } from '../task/interruption.js';
import type { ChildStart, FromChild, LogLine, ToChild } from './protocol.js';
import { interruptionToWire } from './wire-interruption.js';
import { type ErrorClassLookup, fromWire } from './wire-thrown.js';

/** How a child is started. */
export interface ChildOptions {
  /** The file that it runs, a `file:` URL. */
  readonly entry: string;
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly start: ChildStart;
  readonly errorClass: ErrorClassLookup;
  readonly values: StoredValues;
  readonly onLine: (line: LogLine) => void;
}

/** What is kept of a child's stderr, for the day on which it dies. */
const TAIL_CHARACTERS = 4_000;
/** How long a process that was killed may take to be gone before nobody waits for it any more. */
const KILLED_MS = 5_000;
/** How long the end of a process waits for what is still in its stderr. */
const LAST_WORDS_MS = 200;

interface Running {
  readonly attempt: HostedAttempt;
  readonly name: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One child as its worker sees it.
 *
 * ```
 * starting ──ready──→ idle ⇄ running
 *     └─────────────────┴───────┴──→ gone     (told to end, killed, or of itself)
 * ```
 */
export class Child {
  /** Resolves with the names of the tasks that it can run. @throws Error when it ends before */
  readonly ready: Promise<readonly string[]>;
  /** Resolves when the process is gone, however that came about. */
  readonly gone: Promise<ProcessExit>;
  /** How many calls it was given. */
  calls = 0;
  /** Its resident memory after the last one. */
  rssBytes = 0;

  readonly #process: ChildProcess;
  readonly #errorClass: ErrorClassLookup;
  readonly #values: StoredValues;
  #running: Running | undefined;
  #exit: ProcessExit | undefined;
  #tail = '';
  #error: SerializedError | undefined;
  #killed = false;
  #onReady: (tasks: readonly string[]) => void = () => undefined;
  #onGone: (exit: ProcessExit) => void = () => undefined;

  constructor({ entry, execArgv, env, start, errorClass, values, onLine }: ChildOptions) {
    this.#errorClass = errorClass;
    this.#values = values;
    this.#process = fork(fileURLToPath(entry), {
      execArgv: [...execArgv],
      env: { ...process.env, ...env },
      serialization: 'json',
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#process.stderr?.on('data', (chunk: Buffer) => this.#overhear(chunk));
    this.#process.on('message', (message) => this.#hear(message as FromChild, onLine));
    this.gone = new Promise((resolve) => (this.#onGone = resolve));
    const end = (code: number | null, signal: string | null): void => this.#end(code, signal);
    // 'close' comes after the last of stderr; a grandchild that has inherited it may keep it open.
    this.#process.once('close', end);
    this.#process.once('exit', (code, signal) => setTimeout(end, LAST_WORDS_MS, code, signal).unref());
    this.#process.on('error', (error) => {
      this.#tail ||= String(error);
      if (this.#process.pid === undefined) end(null, null);
    });
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve;
      void this.gone.then((exit) => reject(new HandlerLostError(exit)));
    });
    this.ready.catch(() => undefined);
    this.#send({ do: 'start', ...start });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Whether it can be given another call. */
  get alive(): boolean {
    return this.#exit === undefined && !this.#killed;
  }

  /** Runs one handler. @throws HandlerLostError when the process dies of it, or is dead */
  run(call: HostedCall, attempt: HostedAttempt): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.alive) {
        void this.gone.then((exit) => reject(new HandlerLostError(exit)));
        return;
      }
      this.calls++;
      this.#running = { attempt, name: call.name, resolve, reject };
      this.#send({ do: 'run', call });
    });
  }

  interrupt(interruption: Interruption): void {
    if (this.#running) this.#send({ do: 'interrupt', why: interruptionToWire(interruption) });
  }

  limit(softMs: number | undefined): void {
    if (this.#running) this.#send({ do: 'limit', ...(softMs === undefined ? {} : { softMs }) });
  }

  /** Ends the process at once. What runs in it is lost. */
  kill(): void {
    if (!this.alive) return;
    this.#killed = true;
    this.#process.kill('SIGKILL');
    // A process that hangs in the kernel can take for ever to die: nobody waits for that.
    setTimeout(() => this.#end(null, 'SIGKILL'), KILLED_MS).unref();
  }

  /** Lets it close its application and end, by force when that takes too long. Resolves when it is gone. */
  async end(withinMs: number): Promise<void> {
    if (this.#exit !== undefined) return;
    this.#send({ do: 'end' });
    const late = setTimeout(() => this.kill(), withinMs);
    await this.gone;
    clearTimeout(late);
  }

  #hear(message: FromChild, onLine: (line: LogLine) => void): void {
    switch (message.say) {
      case 'ready':
        return this.#onReady(message.tasks);
      case 'unfit':
      case 'dying':
        this.#error = message.error;
        return;
      case 'returned':
        this.rssBytes = message.rssBytes;
        return this.#finish()?.resolve(message.value);
      case 'threw':
        this.rssBytes = message.rssBytes;
        return this.#finish()?.reject(fromWire(message.thrown, this.#errorClass, this.#values));
      case 'progress': {
        void this.#note(message.note, message.meta);
        return;
      }
      case 'extend':
        return this.#running?.attempt.extendTimeLimit(message.ms);
      case 'line':
        return onLine(message);
      case 'ends':
        return;
    }
  }

  async #note(note: number, meta: JsonValue): Promise<void> {
    try {
      await this.#running?.attempt.progress(meta);
    } finally {
      this.#send({ do: 'noted', note });
    }
  }

  #finish(): Running | undefined {
    const running = this.#running;
    this.#running = undefined;
    return running;
  }

  #end(code: number | null, signal: string | null): void {
    if (this.#exit !== undefined) return;
    const lastWords = this.#lastWords();
    this.#exit = { code, signal, ...(lastWords === undefined ? {} : { lastWords }) };
    this.#finish()?.reject(new HandlerLostError(this.#exit));
    this.#onGone(this.#exit);
  }

  #lastWords(): string | undefined {
    if (this.#error !== undefined) return `${this.#error.name}: ${this.#error.message}`;
    const lines = this.#tail.split('\n').map((line) => line.trim());
    return (
      lines.find((line) => line.startsWith('FATAL ERROR')) ?? (lines.filter(Boolean).at(-1) || undefined)
    );
  }

  /** What it wrote last to its stderr, or the stack of what ended it. */
  get testament(): string | undefined {
    return this.#error?.stack ?? (this.#tail.trim() || undefined);
  }

  #overhear(chunk: Buffer): void {
    process.stderr.write(chunk);
    this.#tail = (this.#tail + chunk.toString()).slice(-TAIL_CHARACTERS);
  }

  /** A channel that is closed belongs to a process that is about to be gone. */
  #send(message: ToChild): void {
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }
}
