import type { LetterPosition } from '../backend/failure-store.js';
import type { SignatureData } from '../canvas/canvas-data.js';
import { storedCanvas } from '../codec/write-arguments.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { DeadLetterUnknownError } from '../errors/dead-letter.errors.js';
import { ResultUnknownError } from '../errors/result.errors.js';
import type { DeadLetter, DeadLetterSummary } from '../failure/dead-letter.js';
import { decodeTask } from '../flow/decode-envelope.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { PlannedJob } from '../flow/flow-plan.js';
import { redriveId, wholeOf } from '../flow/ids.js';
import { readDuration, readInteger, readObject } from '../options/option-readers.js';
import { assertQueueName } from '../options/option-readers.js';
import type { JsonValue } from '../primitives/json.js';
import { AsyncResult } from '../results/async-result.js';
import {
  cursorOf,
  type DeadLetterFilter,
  type DeadLetterListOptions,
  type DeadLetterPage,
  readArgs,
  readCursor,
  readFilter,
  type RetryLetterOptions,
  type RetryLettersOptions,
} from './dead-letter-options.js';
import { Redrive } from './redrive.js';
import type { TaskQueueEngine } from './task-queue-engine.js';

const PAGE = 200;

/**
 * The dead letters of one registration: final failures that no task declares expected. `workflows.deadLetters` gives it.
 *
 * A letter is about one task and has its id. To retry it publishes the task anew, as one that stands alone: with the
 * arguments, headers and limits that it had, under the id `<id>.redrive.0`, and without the callbacks of its canvas, which
 * has gone its way with the failure. When it fails again, that makes a letter of its own.
 */
export class DeadLetters {
  constructor(private readonly engine: TaskQueueEngine) {}

  /**
   * One page of letters, those whose tasks failed last first.
   *
   * @throws InvalidOptionsError naming the option; BrokerUnavailableError
   */
  async list(options: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
    const { limit: asked, cursor, ...filter } = options;
    const limit = readInteger('limit', asked ?? 50, 1, 1_000);
    const after = cursor === undefined ? undefined : readCursor(cursor);
    const letters = await this.engine.backend.failures.page(readFilter(filter), limit, after);
    const last = letters.at(-1);
    return { letters, ...(letters.length < limit || last === undefined ? {} : { cursor: cursorOf(last) }) };
  }

  /** A letter with everything that is known, or undefined. @throws BrokerUnavailableError */
  async get(id: string): Promise<DeadLetter | undefined> {
    return this.engine.values.readIfPossible(await this.engine.backend.failures.read(id));
  }

  /** How many letters there are, those that were retried included. @throws BrokerUnavailableError */
  async count(): Promise<number> {
    return this.engine.backend.failures.count();
  }

  /**
   * Runs the task of a letter again. A letter is retried once: the second time gives the handle on the same run.
   *
   * @returns the handle on the run; with `redrive` that on the canvas
   * @throws DeadLetterUnknownError when there is no such letter
   * @throws UndecodablePayloadError when its data is not ours, and no arguments are given in its place
   * @throws ResultUnknownError when the task reads the outcomes of a header whose results have expired, likewise
   * @throws InvalidOptionsError; ArgumentTooLargeError; InvalidCanvasError when a map is given something else than a list
   * @throws RedriveRefusedError with `redrive`, when the canvas runs, is gone, or the task is in none
   * @throws BrokerUnavailableError
   */
  async retry<R = JsonValue>(id: string, options: RetryLetterOptions = {}): Promise<AsyncResult<R>> {
    const { args, queue, countdown, redrive = false } = readObject('', options, RETRY_KEYS);
    if (redrive) return this.#redrive<R>(id, options);
    const letter = await this.get(id);
    if (letter === undefined) throw new DeadLetterUnknownError(id);
    if (letter.retriedAs !== undefined) return this.#handle<R>(letter.retriedAs);
    const delayMs = countdown === undefined ? 0 : readDuration('countdown', countdown, ANY_WAIT);
    if (queue !== undefined) assertQueueName('queue', queue);
    if (args === undefined) await this.#refuseWithoutHeader(letter);
    const edited = args === undefined ? undefined : this.#edited(letter, args);
    const run = this.#plan(letter, delayMs, edited, queue);
    // First the run, then the note: when this ends in between, the next one publishes the same id and adds nothing.
    await this.engine.publisher.publishOnce({ job: run, children: [], size: 1 });
    return this.#handle<R>((await this.engine.backend.failures.markRetried(id, run.id)) ?? run.id);
  }

  /** A task that runs again in its canvas already is what was asked for. */
  async #redrive<R>(
    id: string,
    { redrive: _redrive, ...others }: RetryLetterOptions,
  ): Promise<AsyncResult<R>> {
    const [other] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
    if (other !== undefined)
      throw new InvalidOptionsError(other, 'nothing beside redrive', others[other as never]);
    const letter = await this.get(id);
    if (letter === undefined) throw new DeadLetterUnknownError(id);
    if (letter.retriedAs === id) return this.#handle<R>(wholeOf(id));
    return (await new Redrive(this.engine).begin<R>(wholeOf(id))).result;
  }

  /**
   * Runs the tasks of all open letters again that a filter lets through, so many in a second: they are published at once,
   * with growing countdowns, so nothing has to stay alive for it.
   *
   * @returns the ids of the runs by the ids of the letters, and why others were left as they are
   */
  async retryAll(
    filter: DeadLetterFilter = {},
    { perSecond = 10, limit = Infinity }: RetryLettersOptions = {},
  ): Promise<{
    readonly retried: ReadonlyMap<string, string>;
    readonly refused: ReadonlyMap<string, Error>;
  }> {
    if (!(perSecond > 0)) throw new InvalidOptionsError('perSecond', 'a number of more than 0', perSecond);
    const retried = new Map<string, string>();
    const refused = new Map<string, Error>();
    // What fails in the meantime is not retried as well: it would go round for ever.
    const until = filter.until ?? this.engine.clock.wallMs() + 1;
    for await (const { id } of this.#each({ ...filter, until, retried: false }, limit)) {
      try {
        const countdown = Math.floor((retried.size * 1_000) / perSecond);
        retried.set(id, (await this.retry(id, { countdown })).id);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        refused.set(id, error);
      }
    }
    return { retried, refused };
  }

  /** Removes a letter. Its task and the record of its failure stay as they are. @returns whether there was one */
  async discard(id: string): Promise<boolean> {
    return (await this.engine.backend.failures.remove([id])) === 1;
  }

  /** Removes the letters that a filter lets through, those that were retried included. @returns how many */
  async purge(filter: DeadLetterFilter = {}): Promise<number> {
    const { failures } = this.engine.backend;
    const query = readFilter({ retried: 'both', ...filter });
    for (let removed = 0; ;) {
      const page = await failures.page(query, PAGE);
      removed += await failures.remove(page.map(({ id }) => id));
      if (page.length < PAGE) return removed;
    }
  }

  /** Letters one after the other; that they change or go in the meantime disturbs nothing. */
  async *#each(filter: DeadLetterFilter, limit: number): AsyncGenerator<DeadLetterSummary> {
    const query = readFilter(filter);
    let after: LetterPosition | undefined;
    for (let left = limit; left > 0;) {
      const page = await this.engine.backend.failures.page(query, Math.min(left, PAGE), after);
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < Math.min(left, PAGE)) return;
      after = { atMs: Date.parse(last.failedAt), id: last.id };
      left -= page.length;
    }
  }

  /** They are let in as those of a call are. */
  #edited({ failure, payload }: DeadLetter, given: readonly unknown[]): readonly JsonValue[] {
    const { values, options } = this.engine;
    const args = readArgs(given, values.areWritten);
    const { each } = (payload ?? {}) as Partial<TaskEnvelope>;
    const call = { kind: 'task', task: failure.request.name, args, each } as SignatureData;
    const limits = { argumentBytes: options.limits.argumentBytes, canvasBytes: Infinity };
    return (storedCanvas(call, limits, values) as SignatureData).args;
  }

  async #refuseWithoutHeader({ payload }: DeadLetter): Promise<void> {
    const { input } = (payload ?? {}) as Partial<TaskEnvelope>;
    if (input?.from !== 'members') return;
    if ((await this.engine.reader.node(input.node)) === undefined) throw new ResultUnknownError(input.node);
  }

  #handle<R>(id: string): AsyncResult<R> {
    return new AsyncResult<R>(id, this.engine);
  }

  #plan(
    letter: DeadLetter,
    delayMs: number,
    args: readonly JsonValue[] | undefined,
    queue: string | undefined,
  ): PlannedJob {
    const { request } = letter.failure;
    const priority = this.engine.directory.labelOf(request.name)?.options.priority;
    return {
      id: redriveId(letter.id),
      queue: queue ?? request.queue,
      name: request.name,
      data: envelopeOf(letter, args),
      retention: 'age',
      ...(delayMs > 0 ? { delayMs } : {}),
      ...(priority === undefined ? {} : { priority }),
    };
  }
}

const RETRY_KEYS: readonly (keyof RetryLetterOptions)[] = ['args', 'queue', 'countdown', 'redrive'];
const ANY_WAIT = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** The call as it was; with other arguments a map begins at its first item again. */
function envelopeOf({ payload }: DeadLetter, args: readonly JsonValue[] | undefined): TaskEnvelope {
  let envelope: TaskEnvelope | undefined;
  try {
    const decoded = decodeTask(payload);
    if (!('hook' in decoded)) envelope = decoded;
  } catch (error) {
    if (args === undefined) throw error;
  }
  if (envelope === undefined) return { v: 1, args: args ?? [] };
  const { expires: _expires, done, ...call } = envelope;
  if (args !== undefined) return { ...call, args };
  return { ...call, ...(done === undefined ? {} : { done }) };
}

/** Whether one letter cannot be retried, which says nothing of the others. */
function isRefusal(error: unknown): error is Error {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'UNDECODABLE_PAYLOAD' || code === 'DEAD_LETTER_UNKNOWN' || code === 'RESULT_UNKNOWN';
}
