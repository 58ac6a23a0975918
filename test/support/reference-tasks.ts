import { Injectable } from '@nestjs/common';
import {
  type CanvasData,
  type ChordDecision,
  type ChordOutcome,
  ChordRecovery,
  type CompleteCanvas,
  currentTask,
  IgnoreResult,
  type JsonValue,
  NonRetryableError,
  OnFailure,
  OnRevoked,
  RejectTask,
  Retry,
  type SerializedError,
  Task,
  type TaskContext,
  type TaskFailure,
  WorkflowService,
} from 'nestjs-task-queue';
import type { Headers, Json, TaskName } from './reference/canvas-model.js';
import type { HookKind } from './reference/interpret.js';
import { projectSettled } from './reference/outcome.js';
import { tallyOf } from './reference/recovery.js';
import { MAX_RETRIES, runTask } from './reference/tasks.js';

/** A link or errback that ran. */
export interface RecordedCallback {
  /** The id under which it ran: `<node>.link.0` or `<node>.errback.0`, with the step's index if it is a chain. */
  readonly id: string;
  readonly label: string;
  readonly kind: 'link' | 'errback';
  readonly payload: JsonValue;
  readonly headers: Headers;
}

/** What happened on behalf of one canvas. Calls are counted under `<place> <task>`. */
export class CanvasLog {
  readonly runs: Record<string, number> = {};
  readonly stamps: Record<string, Headers> = {};
  readonly hooks: Record<string, string> = {};
  readonly callbacks: RecordedCallback[] = [];
  /** Revocations that could not be asked for. */
  readonly problems: string[] = [];
  /** Calls that began after what they belong to had been revoked. */
  readonly late: string[] = [];
  #cutOff: string | undefined;

  /** A revocation of this place has come through. */
  cutOff(place: string): void {
    this.#cutOff = place;
  }

  ran(place: string, { name, headers, item = 0 }: TaskContext): void {
    const key = `${place} ${name}`;
    this.runs[key] = (this.runs[key] ?? 0) + 1;
    if (Object.keys(headers).length > 0) this.stamps[key] = headers;
    // Items that follow belong to an attempt that had begun.
    const isCutOff = this.#cutOff !== undefined && `${place}.`.startsWith(`${this.#cutOff}.`);
    if (isCutOff && item === 0) this.late.push(`${key} began after it had been revoked`);
  }
}

/** How often handlers ran, which hooks and callbacks did, by the canvas that it happened for. */
@Injectable()
export class RunLog {
  readonly #canvases = new Map<string, CanvasLog>();
  /** Is called before each handler, and may hold it, or make it fail. */
  disturb: ((task: TaskContext) => Promise<void> | void) | undefined;

  of(canvas: string): CanvasLog {
    const log = this.#canvases.get(canvas) ?? new CanvasLog();
    this.#canvases.set(canvas, log);
    return log;
  }

  ran(task: TaskContext): void {
    const canvas = canvasOf(task.id);
    // What callbacks do on their way is their own affair.
    if (!CALLBACK.test(task.id)) this.of(canvas).ran(task.id.slice(canvas.length), task);
  }

  hook(kind: HookKind, id: string, name: string): void {
    const { hooks } = this.of(canvasOf(id));
    const key = keyOf(id, name);
    hooks[key] = key in hooks ? `${hooks[key]}, ${kind}` : kind;
  }

  recorded(callback: RecordedCallback): void {
    this.of(canvasOf(callback.id)).callbacks.push(callback);
  }
}

const CALLBACK = /\.(link|errback)\.\d/;
/** A canvas is named by what stands before the first dot, for its callbacks as for its parts. */
const canvasOf = (id: string): string => id.slice(0, id.indexOf('.') < 0 ? undefined : id.indexOf('.'));
const keyOf = (id: string, name: string): string => `${id.slice(canvasOf(id).length)} ${name}`;

const AT_ONCE = { type: 'fixed', delay: 0 } as const;
/** How long a task that overruns its limit is allowed to run. */
const LIMIT = '25ms';

/** The tasks of the reference as a user would write them. */
@Injectable()
export class ReferenceTasks {
  constructor(
    private readonly log: RunLog,
    private readonly workflows: WorkflowService,
  ) {}

  @Task({ name: 'ident' })
  ident(...args: JsonValue[]): unknown {
    return this.#run(args);
  }

  @Task({ name: 'list' })
  list(...args: JsonValue[]): unknown {
    return this.#run(args);
  }

  @Task({ name: 'add' })
  add(...args: JsonValue[]): unknown {
    return this.#run(args);
  }

  @Task({ name: 'sum' })
  sum(...args: JsonValue[]): unknown {
    return this.#run(args);
  }

  @Task({ name: 'sumTree' })
  sumTree(...args: JsonValue[]): unknown {
    return this.#run(args);
  }

  @Task({ name: 'double' })
  double(...args: JsonValue[]): unknown {
    return this.#run(args);
  }

  @Task({ name: 'flaky' })
  @Retry({ maxRetries: MAX_RETRIES.flaky ?? 0, backoff: AT_ONCE })
  flaky(...args: JsonValue[]): unknown {
    return this.#run(args);
  }

  @Task({ name: 'failIfOdd' })
  failIfOdd(...args: JsonValue[]): unknown {
    return this.#run(args);
  }

  @Task({ name: 'fail' })
  fail(...args: JsonValue[]): unknown {
    return this.#run(args);
  }

  /** Asks for its retries itself. */
  @Task({ name: 'again' })
  async again(...args: JsonValue[]): Promise<unknown> {
    try {
      return await this.#run(args);
    } catch (error) {
      return currentTask().retry({ countdown: 0, error, maxRetries: MAX_RETRIES.again ?? 0 });
    }
  }

  @Task({ name: 'headers' })
  headers(..._args: JsonValue[]): unknown {
    return this.#do((task) => task.headers);
  }

  @Task({ name: 'ignore' })
  ignore(..._args: JsonValue[]): unknown {
    return this.#do(() => {
      throw new IgnoreResult();
    });
  }

  @Task({ name: 'failFinally' })
  @Retry({ maxRetries: 5, backoff: AT_ONCE })
  failFinally(..._args: JsonValue[]): unknown {
    return this.#do(() => {
      throw new NonRetryableError('not again');
    });
  }

  @Task({ name: 'reject' })
  @Retry({ maxRetries: 5, backoff: AT_ONCE })
  reject(..._args: JsonValue[]): unknown {
    return this.#do(() => {
      throw new RejectTask('unwanted');
    });
  }

  @Task({ name: 'throwNothing' })
  throwNothing(..._args: JsonValue[]): unknown {
    return this.#do(() => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error
      throw undefined;
    });
  }

  @Task({ name: 'returnBigInt' })
  @Retry({ maxRetries: 5, backoff: AT_ONCE })
  returnBigInt(..._args: JsonValue[]): unknown {
    return this.#do(() => ({ total: 1n }));
  }

  @Task({ name: 'overrunSoft', softTimeLimit: LIMIT })
  overrunSoft(..._args: JsonValue[]): unknown {
    return this.#do(
      ({ signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        ),
    );
  }

  @Task({ name: 'overrunHard', timeLimit: LIMIT })
  overrunHard(..._args: JsonValue[]): unknown {
    return this.#do(() => new Promise(() => undefined));
  }

  /** Is published with a time that is over. */
  @Task({ name: 'expired' })
  expired(...args: JsonValue[]): unknown {
    return this.#run(args);
  }

  /** Puts its last argument in its place, a canvas as plain data. */
  @Task({ name: 'swap' })
  swap(...args: JsonValue[]): unknown {
    return this.#do((task) => {
      const canvas = this.workflows.fromData(args.at(-1) as unknown as CanvasData);
      return task.replace(canvas as unknown as CompleteCanvas);
    });
  }

  /** Adds its last argument, a list of canvases as plain data, to the group around it. */
  @Task({ name: 'adder' })
  adder(...args: JsonValue[]): unknown {
    return this.#do(async (task) => {
      for (const canvas of args.at(-1) as unknown as CanvasData[])
        await task.addToGroup(this.workflows.fromData(canvas) as unknown as CompleteCanvas);
      const [first = null] = args.slice(0, -1).map((arg) => projectSettled(arg, projectOutcome));
      return first;
    });
  }

  @OnFailure()
  failed({ request }: TaskFailure): void {
    this.log.hook('failure', request.id, request.name);
  }

  @OnRevoked()
  revoked({ request }: TaskFailure): void {
    this.log.hook('revoked', request.id, request.name);
  }

  #run(args: readonly JsonValue[]): unknown {
    return this.#do(({ name, retries }) => {
      const projected = args.map((arg) => projectSettled(arg, projectOutcome));
      return runTask(name as TaskName, projected, retries + 1);
    });
  }

  #do(work: (task: TaskContext) => unknown): unknown {
    const task = currentTask();
    this.log.ran(task);
    const disturbed = this.log.disturb?.(task);
    return disturbed === undefined ? work(task) : disturbed.then(() => work(task));
  }
}

/** What every link and errback of a reference canvas ends in. Its hooks are nobody's. */
@Injectable()
export class CallbackTasks {
  constructor(private readonly log: RunLog) {}

  @Task({ name: 'record' })
  record(payload: JsonValue, label: string, kind: 'link' | 'errback'): void {
    const { id, headers } = currentTask();
    this.log.recorded({ id, label, kind, payload, headers });
  }

  @Task({ name: 'handOn' })
  handOn(payload: JsonValue): JsonValue {
    return payload;
  }
}

/** The strategy of the reference's own. */
@Injectable()
export class Tally extends ChordRecovery {
  recover({ failures, size }: ChordOutcome): ChordDecision {
    const tally = tallyOf(
      failures.map(({ index }) => index),
      size,
    );
    switch (tally.run) {
      case 'errback':
        return { run: 'errback' };
      case 'throw':
        throw new Error('the tally cannot be told');
      case 'callback':
        return { run: 'callback', args: tally.arg === undefined ? [] : [tally.arg] };
      case 'fail':
        return { run: 'fail', error: new RangeError(tally.message) };
    }
  }
}

/** A settled outcome as the reference shows it; one that has been projected before stays as it is. */
function projectOutcome(record: Record<string, Json>): Json {
  const { status, reason, value } = record;
  if (status === 'fulfilled') return { status, value: value ?? null };
  if (!isFailure(reason)) return record;
  return {
    status: 'rejected',
    reason: { name: reason.error.name, message: messageOf(reason.error), reason: reason.reason },
  };
}

function isFailure(value: unknown): value is TaskFailure {
  return typeof value === 'object' && value !== null && 'request' in value && 'error' in value;
}

/**
 * What a failure comes down to says, without the wording of the library's own errors. An aggregate's cause is the
 * member of the lowest index.
 */
export function messageOf({ name, message, code, cause }: SerializedError): string {
  if (cause !== undefined && (name === 'GroupError' || name === 'ChordError')) return messageOf(cause);
  return code === undefined ? message : '';
}
