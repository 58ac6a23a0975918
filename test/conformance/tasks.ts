import { setTimeout as pause } from 'node:timers/promises';
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
  OnRetry,
  OnRevoked,
  OnSuccess,
  RejectTask,
  Retry,
  Task,
  type TaskFailure,
  WorkflowService,
} from 'nestjs-task-queue';

/** What ran, in its order, and doors that hold tasks until a case opens them. */
@Injectable()
export class Diary {
  readonly entries: string[] = [];
  readonly payloads: JsonValue[] = [];
  readonly #doors = new Map<string, () => void>();
  readonly #open = new Set<string>();

  write(entry: string): void {
    this.entries.push(entry);
  }

  count(entry: string): number {
    return this.entries.filter((one) => one === entry).length;
  }

  open(door: string): void {
    this.#open.add(door);
    this.#doors.get(door)?.();
  }

  /** Resolves when the door is opened; rejects when the task is told to end. */
  pass(door: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#open.has(door)) return resolve();
      this.#doors.set(door, resolve);
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  }
}

class Transient extends Error {
  override name = 'Transient';
}
class Fatal extends Error {
  override name = 'Fatal';
}

const ERRORS = {
  transient: new Transient('for a moment'),
  range: new RangeError('out of range'),
  fatal: new Fatal('for good'),
  never: new NonRetryableError('not again'),
} as const;

const AT_ONCE = { type: 'fixed', delay: 0 } as const;

@Injectable()
export class ConformanceTasks {
  constructor(
    private readonly diary: Diary,
    private readonly workflows: WorkflowService,
  ) {}

  @Task({ name: 'echo' })
  echo(...args: JsonValue[]): JsonValue {
    return args.length === 1 ? (args[0] ?? null) : args;
  }

  @Task({ name: 'note' })
  note(...args: JsonValue[]): JsonValue {
    this.diary.write(args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg))).join(' '));
    return args[0] ?? null;
  }

  /** An errback or callback: keeps the payload whole. */
  @Task({ name: 'keep' })
  keep(payload: JsonValue, label: string): void {
    this.diary.write(label);
    this.diary.payloads.push(payload);
  }

  @Task({ name: 'nothing' })
  nothing(): void {}

  @Task({ name: 'bigint' })
  bigint(): unknown {
    return { total: 1n };
  }

  @Task({ name: 'fail' })
  fail(...args: JsonValue[]): never {
    this.diary.write('fail');
    throw new RangeError(`failed ${args.map(String).join(' ')}`.trim());
  }

  /** Fails until its canvas is redriven. */
  @Task({ name: 'better' })
  better(value: JsonValue): JsonValue {
    if (currentTask().redriven === undefined) throw new RangeError('not yet');
    return value;
  }

  /** Fails in the first generation; in a later one it takes until a door is opened. */
  @Task({ name: 'betterLate' })
  async betterLate(door: string): Promise<string> {
    if (currentTask().redriven === undefined) throw new RangeError('not yet');
    this.diary.write('again');
    await this.diary.pass(door, currentTask().signal);
    return door;
  }

  @Task({ name: 'throwNothing' })
  throwNothing(): never {
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    throw undefined;
  }

  @Task({ name: 'flaky' })
  @Retry({ for: [Transient], maxRetries: 2, backoff: AT_ONCE })
  @Retry({ for: [RangeError], maxRetries: 1, backoff: AT_ONCE, never: [Fatal] })
  flaky(errors: (keyof typeof ERRORS)[]): string {
    const { attempt, retries } = currentTask();
    this.diary.write(`flaky ${attempt}/${retries}`);
    const error = errors[attempt - 1];
    if (error === undefined) return `after ${attempt}`;
    throw ERRORS[error];
  }

  @Task({ name: 'steers' })
  @Retry({ maxRetries: 5, backoff: AT_ONCE })
  steers(how: string): string {
    const task = currentTask();
    this.diary.write(`steers ${task.attempt}`);
    if (how === 'ignore') throw new IgnoreResult();
    if (how === 'reject') throw new RejectTask('unwanted');
    if (task.attempt === 1) task.retry({ countdown: 1 });
    return 'again';
  }

  @Task({ name: 'context' })
  context(): JsonValue {
    const { headers, queue, workflow, name, args } = currentTask();
    return { headers, queue, position: workflow.position, name, args: [...args] };
  }

  @Task({ name: 'progress' })
  async progress(door: string): Promise<string> {
    const task = currentTask();
    await task.progress({ step: 1 });
    this.diary.write('in progress');
    await this.diary.pass(door, task.signal);
    return 'done';
  }

  @Task({ name: 'reports' })
  async reports(value: JsonValue): Promise<void> {
    await currentTask().progress(value);
  }

  @Task({ name: 'held', queue: 'narrow' })
  @Retry({ maxRetries: 3, backoff: AT_ONCE })
  async held(door: string): Promise<string> {
    this.diary.write(`held ${door}`);
    await this.diary.pass(door, currentTask().signal);
    return door;
  }

  @Task({ name: 'ordered', queue: 'narrow' })
  ordered(label: string): void {
    this.diary.write(label);
  }

  @Task({ name: 'polite', softTimeLimit: 60 })
  async polite(): Promise<void> {
    await this.diary.pass('never', currentTask().signal);
  }

  @Task({ name: 'stubborn', timeLimit: 60 })
  async stubborn(): Promise<void> {
    await new Promise(() => undefined);
  }

  @Task({ name: 'replaced' })
  async replaced(...values: JsonValue[]): Promise<JsonValue> {
    const echo = values.map((value) => this.workflows.signature('echo', [value]));
    return currentTask().replace(this.workflows.group(echo as never) as never);
  }

  /** A callback or errback: notes the state of the canvas that released it. */
  @Task({ name: 'peek' })
  async peek(): Promise<void> {
    const { id } = currentTask();
    const by = id.replace(/\.(link|errback)\.\d+$/, '');
    this.diary.write(`${id.slice(by.length)} ${await this.workflows.result(by).state()}`);
  }

  /** Adds calls of `held`, `fail` and `echo` to its group, then fails as often as it is told to. */
  @Task({ name: 'adds' })
  @Retry({ for: [Transient], maxRetries: 5, backoff: AT_ONCE })
  async adds(canvases: JsonValue[], failures = 0): Promise<JsonValue> {
    const task = currentTask();
    const ids: string[] = [];
    for (const canvas of canvases) {
      ids.push(await task.addToGroup(this.workflows.fromData(canvas as never) as never));
    }
    this.diary.write(`added ${ids.map((id) => id.slice(id.indexOf('.'))).join(' ')}`);
    if (task.retries < failures) throw new Transient('after adding');
    return 'adder';
  }

  /** Adds a member once the door is open, and notes what it was told. */
  @Task({ name: 'addsBehind' })
  async addsBehind(door: string): Promise<void> {
    const task = currentTask();
    this.diary.write('waits');
    await this.diary.pass(door, new AbortController().signal);
    const refused = await task.addToGroup(this.workflows.signature('echo', [1]) as never).then(
      () => 'added',
      (error: { code: string }) => error.code,
    );
    this.diary.write(refused);
  }

  /** Is replaced by a canvas that is given as data; what a canvas puts in front is ignored. */
  @Task({ name: 'becomes' })
  becomes(...args: JsonValue[]): JsonValue {
    const by = this.workflows.fromData(args.at(-1) as unknown as CanvasData);
    return currentTask().replace(by as unknown as CompleteCanvas);
  }

  /** Is replaced by a call with an argument of this length. */
  @Task({ name: 'replacedBy' })
  async replacedBy(length: number): Promise<JsonValue> {
    return currentTask().replace(this.workflows.signature('echo', ['x'.repeat(length)]) as never);
  }

  /** Is revoked while it runs, and fails before the revocation has come to its end. */
  @Task({ name: 'revokesItself' })
  async revokesItself(): Promise<never> {
    void this.workflows.result(currentTask().id).revoke();
    await pause(2);
    throw new RangeError('too late');
  }

  @Task({ name: 'slow' })
  async slow(ms: number, value: JsonValue): Promise<JsonValue> {
    await pause(ms);
    return value;
  }
}

/** A class whose tasks have hooks of every kind. */
@Injectable()
export class HookTasks {
  constructor(private readonly diary: Diary) {}

  @Task({ name: 'hooked' })
  @Retry({ maxRetries: 1, backoff: AT_ONCE })
  hooked(failures: number): string {
    if (currentTask().attempt <= failures) throw new Error('no');
    return 'fine';
  }

  @Task({ name: 'waits', queue: 'narrow' })
  waits(): void {}

  @OnSuccess()
  success({ value }: { value: JsonValue }): void {
    this.diary.write(`success ${JSON.stringify(value)}`);
  }
  @OnRetry()
  retry(): void {
    this.diary.write('retry');
  }
  @OnFailure()
  failure({ reason }: TaskFailure): never {
    this.diary.write(`failure ${reason}`);
    throw new Error('a hook that throws changes nothing');
  }
  @OnRevoked()
  revoked({ reason }: TaskFailure): void {
    this.diary.write(`revoked hook ${reason}`);
  }
}

/** Goes on when an even number of members has failed, and throws when all have. */
@Injectable()
export class EvenCount extends ChordRecovery<number> {
  async recover({ failures, size }: ChordOutcome): Promise<ChordDecision> {
    if (failures.length === size) throw new Error('all of them');
    if (failures.length % 2 === 0) return { run: 'callback', args: [failures.length] };
    return { run: 'fail', error: new RangeError(`${failures.length} is odd`) };
  }
}
