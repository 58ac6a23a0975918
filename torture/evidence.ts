/** What a canvas has left behind, as seen from outside. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { JsonValue, WorkflowService } from 'nestjs-task-queue';
import type { RecordedCallback } from '../test/support/reference-tasks.js';
import type { CallbackNote } from './reference-log.js';
import type { Site } from './site.js';
import { notesOf, type Run } from './tasks.js';

export interface Evidence {
  readonly id: string;
  readonly state: string;
  /** What it came to: its value, or the name of its error. */
  readonly came: JsonValue;
  readonly runs: readonly Run[];
  /** Callbacks of random canvases, with what they were given. */
  readonly callbacks: readonly RecordedCallback[];
  /** How often each job was made, by what follows the canvas's id; nodes are left out. */
  readonly made: Readonly<Record<string, number>>;
  /** The same of nodes. */
  readonly nodes: Readonly<Record<string, number>>;
  /** What is still said about it by those who should know nothing: explanations and repairs. */
  readonly left: readonly string[];
  /** What every run of a task was given. */
  readonly gotBy: (path: string) => JsonValue[];
}

/** Reads from the streams of events which jobs were made. BullMQ trims them, so they are followed all the time. */
export class MadeJobs {
  readonly #cursors = new Map<string, string>();
  readonly #made = new Map<string, number>();
  readonly #running: Promise<void>;
  #reading: Promise<unknown> = Promise.resolve();
  #isOver = false;

  constructor(
    private readonly site: Site,
    private readonly prefix: string,
  ) {
    this.#running = this.#follow();
  }

  /** How often each job of a canvas was made so far, by what follows its id. */
  async of(canvas: string, queue: string): Promise<Record<string, number>> {
    await this.#catchUp(queue);
    const begin = `${queue} ${canvas}`;
    const found = [...this.#made].filter(([key]) => key === begin || key.startsWith(`${begin}.`));
    return Object.fromEntries(found.map(([key, times]) => [key.slice(begin.length), times]));
  }

  forget(canvas: string): void {
    for (const key of this.#made.keys())
      if (QUEUES.some((queue) => key === `${queue} ${canvas}` || key.startsWith(`${queue} ${canvas}.`)))
        this.#made.delete(key);
  }

  /** Counts from the beginning what the Redis that is there now remembers. */
  readAnew(): void {
    this.#cursors.clear();
    this.#made.clear();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #follow(): Promise<void> {
    while (!this.#isOver) {
      // What cannot be read while Redis is away is read later.
      for (const queue of QUEUES) await this.#catchUp(queue).catch(() => undefined);
      await pause(250);
    }
  }

  /** One reads at a time, or an event would count twice. */
  #catchUp(queue: string): Promise<void> {
    const read = this.#reading.then(() => this.#read(queue));
    this.#reading = read.catch(() => undefined);
    return read;
  }

  async #read(queue: string): Promise<void> {
    const stream = `{${this.prefix}:0}:${queue}:events`;
    for (;;) {
      const from = this.#cursors.get(queue);
      const events = await this.site.redis.xrange(
        stream,
        from === undefined ? '-' : `(${from}`,
        '+',
        'COUNT',
        1_000,
      );
      for (const [, fields] of events) this.#note(queue, fields);
      const last = events.at(-1)?.[0];
      if (last === undefined) return;
      this.#cursors.set(queue, last);
    }
  }

  #note(queue: string, fields: readonly string[]): void {
    const event = new Map(fields.flatMap((field, at) => (at % 2 === 0 ? [[field, fields[at + 1]]] : [])));
    if (event.get('event') !== 'added') return;
    const key = `${queue} ${event.get('jobId') ?? ''}`;
    this.#made.set(key, (this.#made.get(key) ?? 0) + 1);
  }
}

const TASKS = 'default';
const NODES = '_canvas';
export const QUEUES = [TASKS, NODES] as const;

export async function gather(
  id: string,
  notesRedis: Redis,
  workflows: WorkflowService,
  jobs: MadeJobs,
): Promise<Evidence> {
  const handle = workflows.result(id);
  const [{ state }, failure, explanation, { mended }, notes] = await Promise.all([
    handle.describe(),
    handle.failure(),
    workflows.explain(id),
    workflows.reconcile(id),
    notesRedis.lrange(notesOf(id), 0, -1),
  ]);
  const came = failure === undefined ? ((await handle.result()) as JsonValue) : failure.error.name;
  const all = notes.map((note) => JSON.parse(note) as Run | CallbackNote);
  const runs = all.filter((note): note is Run => !('callback' in note));
  return {
    id,
    state,
    came,
    runs,
    callbacks: all.flatMap((note) => ('callback' in note ? [note.callback] : [])),
    made: await jobs.of(id, TASKS),
    nodes: await jobs.of(id, NODES),
    left: [
      ...explanation.obstacles.map(({ text }) => text),
      ...mended.map(({ kind, id: job }) => `${kind}: ${job}`),
    ],
    gotBy: (path) => runs.filter((run) => run.id === `${id}${path}`).map(({ got }) => got ?? null),
  };
}
