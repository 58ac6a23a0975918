/**
 * Tasks that run in the children of a process pool, and do to their process what they like.
 */
import {
  type CallHandler,
  type CanActivate,
  Catch,
  type ExceptionFilter,
  type ExecutionContext,
  Inject,
  Injectable,
  Logger,
  type NestInterceptor,
  ParseIntPipe,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { map, type Observable } from 'rxjs';
import {
  Arg,
  currentTask,
  IgnoreResult,
  type JsonValue,
  NonRetryableError,
  OnFailure,
  Outcomes,
  RejectTask,
  Retry,
  Task,
  TaskContext,
  type TaskFailure,
  Tasks,
  WorkflowService,
} from 'nestjs-task-queue';

/** What the application in the worker notes; nothing in a child. */
export const NOTES = 'POOL_NOTES';
export type Notes = (what: string, details: unknown) => void;

export class PaymentError extends Error {
  override readonly name: string = 'PaymentError';
}
export class CardDeclinedError extends PaymentError {
  override readonly name = 'CardDeclinedError';
  constructor(readonly card: { readonly last4: string }) {
    super('the card was declined', { cause: new RangeError('limit reached') });
  }
}

/** How a handler ends its process. */
export type Death = 'exit' | 'abort' | 'segfault' | 'rejection' | 'memory';

@Injectable()
class Even implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const [[value]] = context.getArgs<[JsonValue[], TaskContext]>();
    return Number(value) % 2 === 0;
  }
}

/** Writes the process that it runs in around a value. */
@Injectable()
class Around implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<JsonValue> {
    return next
      .handle()
      .pipe(map((value: JsonValue) => ({ around: context.getType<string>(), pid: process.pid, value })));
  }
}

@Catch(RangeError)
class Forgive implements ExceptionFilter {
  catch(error: RangeError): JsonValue {
    return { forgiven: error.message, pid: process.pid };
  }
}

@Injectable()
@Tasks({ queue: 'pooled' })
export class PoolTasks {
  readonly #logger = new Logger('PoolTasks');

  constructor(
    @Inject(NOTES) private readonly notes: Notes,
    private readonly workflows: WorkflowService,
  ) {}

  @Task()
  pid(): number {
    return process.pid;
  }

  @Task()
  @UseGuards(Even)
  @UseInterceptors(Around)
  @UseFilters(Forgive)
  async enhanced(@Arg(ParseIntPipe) value: number, isFar: boolean): Promise<number> {
    await delay(1);
    if (isFar) throw new RangeError('too far');
    return value + 1;
  }

  @Task()
  async attemptAfter(ms: number, task: TaskContext): Promise<number> {
    await delay(ms);
    return task.attempt;
  }

  @Task()
  async context(word: string, task: TaskContext): Promise<JsonValue> {
    await delay(1);
    const { id, name, queue, attempt, retries, maxRetries, headers, args, workflow } = task;
    const current = currentTask() === task;
    return {
      id,
      name,
      queue,
      attempt,
      retries,
      maxRetries,
      headers,
      args: [...args],
      workflow: { ...workflow },
      word,
      current,
    };
  }

  @Task()
  async tells(task: TaskContext): Promise<number> {
    await task.progress({ step: 1 });
    task.logger.warn('a line of the task');
    this.#logger.log('a line of a provider');
    await task.progress({ step: 2 });
    return process.pid;
  }

  @Task()
  nothing(): void {}

  /** Whether it was alone with the lock, and its token. */
  @Task()
  async locked(task: TaskContext): Promise<number> {
    const lock = await task.lock('till');
    await delay(20);
    return Number(lock.token);
  }

  @Task()
  async adds(values: number[], task: TaskContext): Promise<string> {
    const { doubles } = this.workflows.tasks(PoolTasks);
    for (const value of values) await task.addToGroup(doubles.si(value));
    return 'adder';
  }

  @Task()
  unserializable(): unknown {
    return { since: new Date(), list: new Map() };
  }

  @Task()
  @Retry({ for: [PaymentError], maxRetries: 1, backoff: { type: 'fixed', delay: 10 } })
  declined(task: TaskContext): string {
    if (task.retries === 0) throw new CardDeclinedError({ last4: '4242' });
    return `paid in attempt ${task.attempt}`;
  }

  @Task()
  fails(what: 'class' | 'text' | 'final' | 'reject' | 'ignore'): void {
    switch (what) {
      case 'class':
        throw new CardDeclinedError({ last4: '1111' });
      case 'text':
        throw 'a text';
      case 'final':
        throw new NonRetryableError('never again');
      case 'reject':
        throw new RejectTask('not today');
      case 'ignore':
        throw new IgnoreResult();
    }
  }

  @Task()
  asks(task: TaskContext): string {
    if (task.retries < 2) task.retry({ countdown: 10, error: new PaymentError('not yet') });
    return `after ${task.retries} retries`;
  }

  @Task()
  replaced(task: TaskContext): never {
    return task.replace(this.workflows.tasks(PoolTasks).doubles.s(21));
  }

  @Task()
  doubles(value: number): number {
    return value * 2;
  }

  /** What its header came to, and in which process that was read. */
  @Task()
  async reads(outcomes: Outcomes<number>, label: string): Promise<JsonValue> {
    let sum = 0;
    for await (const value of outcomes.values()) sum += value;
    const failed: string[] = [];
    for await (const { failure } of outcomes.failures()) failed.push(failure.error.message);
    return { label, size: outcomes.size, sum, failed, pid: process.pid };
  }

  @Task()
  async publishes(): Promise<string> {
    const { id } = await this.workflows.tasks(PoolTasks).doubles.delay(4);
    return id;
  }

  /** Keeps its event loop busy. */
  @Task()
  async busy(ms: number, task: TaskContext): Promise<number> {
    await task.progress(process.pid);
    const until = performance.now() + ms;
    while (performance.now() < until);
    return task.attempt;
  }

  /** The same, but it looks at its limits, and can move them on. */
  @Task()
  async looks(ms: number, more: number, task: TaskContext): Promise<string> {
    await task.progress(process.pid);
    if (more > 0) task.extendTimeLimit(more);
    const until = performance.now() + ms;
    try {
      while (performance.now() < until) task.throwIfAborted();
    } catch (error) {
      return (error as Error).message;
    }
    return 'done';
  }

  /** Waits to be told to end, and tells why. */
  @Task()
  async waits(task: TaskContext): Promise<string> {
    await task.progress(process.pid);
    await delay(60_000, undefined, { signal: task.signal }).catch(() => undefined);
    return `${String(task.interruption)}: ${(task.signal.reason as Error).name}`;
  }

  /** Hears nothing. */
  @Task()
  async deaf(task: TaskContext): Promise<void> {
    await task.progress(process.pid);
    await delay(60_000);
  }

  @Task()
  async dies(death: Death, task: TaskContext): Promise<void> {
    await task.progress(task.attempt);
    die(death);
    await delay(60_000);
  }

  @OnFailure('dies')
  onFailure(failure: TaskFailure): void {
    this.notes('failure', failure);
  }
}

function die(death: Death): void {
  switch (death) {
    case 'exit':
      process.exit(3);
    case 'abort':
      return process.abort();
    case 'segfault':
      process.kill(process.pid, 'SIGSEGV');
      return;
    case 'rejection':
      void Promise.reject(new TypeError('nobody waits for this'));
      return;
    case 'memory': {
      const kept: string[][] = [];
      for (;;) kept.push(Array.from({ length: 100_000 }, (_, index) => `${index} of ${kept.length}`));
    }
  }
}
