import { Injectable } from '@nestjs/common';
import {
  type ChordDecision,
  type ChordOutcome,
  ChordRecovery,
  Ctx,
  currentTask,
  IgnoreResult,
  type JsonValue,
  NonRetryableError,
  OnFailure,
  OnSuccess,
  RejectTask,
  type Outcome,
  Retry,
  Task,
  type TaskContext,
  type TaskFailure,
  type TaskSuccess,
} from 'nestjs-task-queue';
import { Probe } from './canvas-runner.js';

export class OutOfStock extends Error {
  readonly code = 'OUT_OF_STOCK';
  constructor(readonly articles: readonly string[]) {
    super(`out of stock: ${articles.join(', ')}`, { cause: new RangeError('shelf 7 is empty') });
    this.name = 'OutOfStock';
  }
}

@Injectable()
export class CanvasTasks {
  constructor(private readonly probe: Probe) {}

  @Task()
  echo(value: JsonValue): JsonValue {
    this.probe.called(value);
    return value;
  }

  @Task()
  add(a: number, b: number): number {
    this.probe.called(a, b);
    return a + b;
  }

  @Task()
  list(value: JsonValue, label: string): JsonValue[] {
    this.probe.called(value, label);
    return [label, value];
  }

  @Task()
  show(values: JsonValue): JsonValue {
    this.probe.called(values);
    return { shown: values };
  }

  @Task()
  fail(tag: string): number {
    this.probe.called(tag);
    throw new Error(`boom ${tag}`);
  }

  /** Fails with what came in as its first argument. */
  @Task()
  failWith(value: JsonValue, tag: string): JsonValue {
    this.probe.called(value, tag);
    throw new Error(`boom ${tag}`);
  }

  @Task()
  async behind(door: string, value: JsonValue): Promise<JsonValue> {
    await this.probe.pass(door);
    this.probe.called(door, value);
    return value;
  }

  @Task()
  order(...articles: string[]): number {
    throw new OutOfStock(articles);
  }

  @Task()
  throwing(what: string): JsonValue {
    this.probe.called(what);
    switch (what) {
      case 'undefined':
        throw undefined;
      case 'null':
        throw null;
      case 'text':
        throw 'just text';
      case 'object':
        throw { reason: 42 };
      case 'permanent':
        throw new NonRetryableError('never again');
      case 'rejected':
        throw new RejectTask('not for me');
      case 'named like control flow':
        throw Object.assign(new Error('surprise'), { name: 'WaitingChildrenError' });
      default:
        throw new Error('bullmq:rateLimitExceeded');
    }
  }

  @Task()
  returning(what: string): unknown {
    this.probe.called(what);
    if (what === 'bigint') return { price: 10n };
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    return cycle;
  }

  @Task()
  ignoring(): JsonValue {
    throw new IgnoreResult();
  }

  @Task({ softTimeLimit: 30 })
  async softLimited(@Ctx() task: TaskContext): Promise<void> {
    await aborted(task.signal);
  }

  @Task({ timeLimit: 30 })
  async hardLimited(): Promise<void> {
    await this.probe.pass('never');
  }

  @Task()
  @Retry({ maxRetries: 2, backoff: { type: 'fixed', delay: 1 } })
  hopeless(): number {
    this.probe.called(currentTask().retries);
    throw new Error('still no');
  }

  @Task()
  @Retry({ maxRetries: 3, backoff: { type: 'fixed', delay: 1 } })
  flaky(failures: number): string {
    this.probe.called(failures);
    if (currentTask().retries < failures) throw new Error('not yet');
    return 'at last';
  }

  @Task({ queue: 'slow' })
  elsewhere(value: JsonValue): JsonValue {
    this.probe.called(value, currentTask().queue);
    return value;
  }
}

/** Callbacks of the canvases: links get a value first, errbacks a failure. */
@Injectable()
export class Callbacks {
  constructor(private readonly probe: Probe) {}

  @Task()
  linked(value: JsonValue, label: string): void {
    this.probe.called(value, label);
  }

  @Task({ queue: 'errors' })
  failed(failure: TaskFailure, label: string): string {
    this.probe.called(failure as unknown as JsonValue, label);
    return `handled ${label}`;
  }

  /** An errback that fails twice before it does its work. */
  @Task()
  @Retry({ maxRetries: 2, backoff: { type: 'fixed', delay: 1 } })
  stubborn(failure: TaskFailure): string {
    this.probe.called(failure.error.message);
    if (currentTask().retries < 2) throw new Error('the mail server is away');
    return `mailed: ${failure.error.message}`;
  }

  /** What a body of settled outcomes looks like. */
  @Task()
  outcomes(outcomes: Outcome<JsonValue>[]): JsonValue {
    this.probe.called(outcomes as unknown as JsonValue);
    return outcomes.map((outcome) =>
      outcome.status === 'fulfilled' ? outcome.value : outcome.reason.error.message,
    );
  }
}

/** Tasks whose hooks are counted. */
@Injectable()
export class HookedTasks {
  readonly hooks: string[] = [];

  @Task()
  hooked(value: JsonValue): JsonValue {
    return value;
  }

  @OnFailure()
  onFailure(failure: TaskFailure): void {
    this.hooks.push(`failure ${failure.request.id}`);
  }

  @OnSuccess()
  onSuccess(success: TaskSuccess): void {
    this.hooks.push(`success ${success.id}`);
  }
}

@Injectable()
export class TwoOfThree extends ChordRecovery<string> {
  override recover(outcome: ChordOutcome): ChordDecision {
    if (outcome.successes.length >= 2)
      return { run: 'callback', args: [`${outcome.successes.length} were enough`] };
    return outcome.successes.length === 1
      ? { run: 'fail', error: new RangeError(`only ${outcome.successes.length}`) }
      : { run: 'errback' };
  }
}

@Injectable()
export class Broken extends ChordRecovery<JsonValue> {
  override recover(): ChordDecision {
    throw new TypeError('the strategy is broken');
  }
}

/** Never comes back, unless it is told to. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  );
}
