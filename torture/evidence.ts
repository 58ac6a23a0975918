/** What a canvas has left behind, as seen from outside. */
import type { Redis } from 'ioredis';
import type { JsonValue, WorkflowService } from 'nestjs-task-queue';
import type { RecordedCallback } from '../test/support/reference-tasks.js';
import { type JobEvents, NODES, TASKS } from './job-events.js';
import type { CallbackNote } from './reference-log.js';
import { notesOf, type Run } from './tasks.js';

export interface Evidence {
  readonly id: string;
  readonly state: string;
  /** What it came to: its value, or the name of its error. */
  readonly came: JsonValue;
  readonly runs: readonly Run[];
  /**
   * By task the port of who answered each fetch of it that is remembered, in order; only where something may have been
   * forgotten.
   */
  readonly fetched?: Readonly<Record<string, readonly number[]>>;
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

export async function gather(
  id: string,
  notesRedis: Redis,
  workflows: WorkflowService,
  events: JobEvents,
  masterAt?: (ms: number) => number,
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
    ...(masterAt === undefined ? {} : { fetched: await fetchesOf(id, events, masterAt) }),
    callbacks: all.flatMap((note) => ('callback' in note ? [note.callback] : [])),
    made: await events.made(id, TASKS),
    nodes: await events.made(id, NODES),
    left: [
      ...explanation.obstacles.map(({ text }) => text),
      ...mended.map(({ kind, id: job }) => `${kind}: ${job}`),
    ],
    gotBy: (path) => runs.filter((run) => run.id === `${id}${path}`).map(({ got }) => got ?? null),
  };
}

async function fetchesOf(
  id: string,
  events: JobEvents,
  masterAt: (ms: number) => number,
): Promise<Record<string, number[]>> {
  const fetched = Object.entries(await events.fetched(id));
  return Object.fromEntries(fetched.map(([task, times]) => [task, times.map(masterAt)]));
}
