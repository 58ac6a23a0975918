/** Which jobs were made and fetched, by what BullMQ tells of them. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Site } from './site.js';
import { canvasOf } from './tasks.js';

export const TASKS = 'default';
export const NODES = '_canvas';
export const QUEUES = [TASKS, NODES] as const;

/** No canvas has this name. */
const ALL = '';

/** Where an event stands in its stream, which begins with the time. */
type EventId = `${number}-${number}`;

interface JobEvent {
  readonly at: EventId;
  readonly queue: string;
  readonly job: string;
  readonly what: 'added' | 'active';
}

/** Reads the streams of events. BullMQ trims them, so they are followed all the time. */
export class JobEvents {
  readonly #cursors = new Map<string, EventId>();
  #events: JobEvent[] = [];
  /** How many events of any kind each canvas has had. */
  readonly #moves = new Map<string, number>();
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
  async made(canvas: string, queue: string): Promise<Record<string, number>> {
    const times: Record<string, number> = {};
    for (const { job } of await this.#of(canvas, queue, 'added')) {
      const path = job.slice(canvas.length);
      times[path] = (times[path] ?? 0) + 1;
    }
    return times;
  }

  /** When each task of a canvas was fetched, in order: by the clock of Redis, in epoch milliseconds. */
  async fetched(canvas: string): Promise<Record<string, number[]>> {
    const times: Record<string, number[]> = {};
    for (const { job, at } of await this.#of(canvas, TASKS, 'active'))
      (times[job] ??= []).push(parseInt(at, 10));
    return times;
  }

  async #of(canvas: string, queue: string, what: JobEvent['what']): Promise<JobEvent[]> {
    await this.#inTurn(() => this.#read(queue));
    return this.#events.filter(
      (event) => event.what === what && event.queue === queue && isPartOf(canvas, event.job),
    );
  }

  /** A number that changes when a job of a canvas is made, fetched, put back or over; of all of them, where none is named. */
  moves(canvas = ALL): number {
    return this.#moves.get(canvas) ?? 0;
  }

  forget(canvas: string): void {
    this.#events = this.#events.filter(({ job }) => !isPartOf(canvas, job));
    this.#moves.delete(canvas);
  }

  /**
   * Goes on with another Redis, and forgets what that one has not heard of. To be asked for soon after it has come: what was
   * read before and is older than what that one has is taken for something that it has heard of and has trimmed.
   */
  async readAnew(): Promise<void> {
    for (const queue of QUEUES)
      await this.#inTurn(async () => {
        const [first] = await this.site.redis.xrange(this.#streamOf(queue), '-', '+', 'COUNT', 1);
        const from = first?.[0] as EventId | undefined;
        this.#events = this.#events.filter(
          (event) => event.queue !== queue || (from !== undefined && isBefore(event.at, from)),
        );
        this.#cursors.delete(queue);
      });
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #follow(): Promise<void> {
    while (!this.#isOver) {
      // What cannot be read while Redis is away is read later.
      for (const queue of QUEUES) await this.#inTurn(() => this.#read(queue)).catch(() => undefined);
      await pause(250);
    }
  }

  /** One reads at a time, or an event would count twice. */
  #inTurn(read: () => Promise<void>): Promise<void> {
    const reading = this.#reading.then(read);
    this.#reading = reading.catch(() => undefined);
    return reading;
  }

  async #read(queue: string): Promise<void> {
    for (;;) {
      const cursor = this.#cursors.get(queue);
      const begin = cursor === undefined ? '-' : `(${cursor}`;
      const events = await this.site.redis.xrange(this.#streamOf(queue), begin, '+', 'COUNT', 1_000);
      for (const [at, fields] of events) this.#note(queue, at as EventId, fields);
      const last = events.at(-1)?.[0] as EventId | undefined;
      if (last === undefined) return;
      this.#cursors.set(queue, last);
    }
  }

  #note(queue: string, at: EventId, fields: readonly string[]): void {
    const event = new Map(fields.flatMap((field, at) => (at % 2 === 0 ? [[field, fields[at + 1]]] : [])));
    const [what, job] = [event.get('event'), event.get('jobId')];
    if (job === undefined) return;
    for (const of of [canvasOf(job), ALL]) this.#moves.set(of, this.moves(of) + 1);
    if (what === 'added' || what === 'active') this.#events.push({ at, queue, job, what });
  }

  #streamOf(queue: string): string {
    return `{${this.prefix}:0}:${queue}:events`;
  }
}

const isPartOf = (canvas: string, job: string): boolean => job === canvas || job.startsWith(`${canvas}.`);

export function isBefore(one: EventId, other: EventId): boolean {
  const [[ms = 0, nr = 0], [otherMs = 0, otherNr = 0]] = [one, other].map((id) =>
    id.split('-').map(Number),
  ) as [number[], number[]];
  return ms < otherMs || (ms === otherMs && nr < otherNr);
}
