import type { Delivery, Verdict } from '../backend/delivery.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { positionOf, rootOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import { generationIn } from '../task/redriven.js';
import type { TaskEvent } from '../task/task-event.js';
import type { Discretion } from './discretion.js';
import type { EventBus } from './event-bus.js';

type Headers = Readonly<Record<string, JsonValue>> | undefined;

/** What is told about a task while a worker has it. */
export class TaskAnnouncer {
  constructor(
    private readonly bus: EventBus,
    private readonly clock: Clock,
    private readonly discretion: Discretion,
  ) {}

  /** Begins, of an attempt. */
  begins(type: 'received' | 'started', delivery: Delivery, headers: Headers): void {
    if (this.bus.wants(type)) this.bus.emit({ type, ...this.#about(delivery, headers) });
  }

  progress(delivery: Delivery, headers: Headers, progress: JsonValue): void {
    if (!this.bus.wants('progress')) return;
    this.bus.emit({
      type: 'progress',
      ...this.#about(delivery, headers),
      progress: this.discretion.stored('progress', progress),
    });
  }

  /** The verdict, which tells of itself once it has been stored. */
  success(verdict: Verdict, delivery: Delivery, headers: Headers, startedMs: number | undefined): Verdict {
    if (!this.bus.wants('success')) return verdict;
    const about = this.#about(delivery, headers);
    return this.#telling(verdict, (nowMs) => ({
      type: 'success',
      ...about,
      ...(startedMs === undefined ? {} : { durationMs: Math.max(0, nowMs - startedMs) }),
    }));
  }

  retry(verdict: Verdict, delivery: Delivery, failure: TaskFailure, delayMs: number): Verdict {
    if (!this.bus.wants('retry')) return verdict;
    const about = this.#failing(delivery, failure);
    return this.#telling(verdict, () => ({ type: 'retry', ...about, delayMs }));
  }

  failure(verdict: Verdict, delivery: Delivery, failure: TaskFailure): Verdict {
    const type = failure.reason === 'revoked' ? 'revoked' : 'failure';
    if (!this.bus.wants(type)) return verdict;
    const about = this.#failing(delivery, failure);
    return this.#telling(verdict, () => ({ type, ...about }));
  }

  /** What the delivery says is read before: by the time the verdict is stored, the job counts one attempt more. */
  #telling(verdict: Verdict, make: (nowMs: number) => TaskEvent): Verdict {
    const onStored = (): void => {
      const nowMs = this.clock.wallMs();
      this.bus.emit({ ...make(nowMs), at: new Date(nowMs).toISOString() });
    };
    return { ...verdict, onStored };
  }

  #failing(delivery: Delivery, { request, error, reason }: TaskFailure) {
    return { ...this.#about(delivery, request.headers), error, reason };
  }

  #about(delivery: Delivery, headers: Headers) {
    const { id, name, queue, activations, attemptsMade } = delivery;
    const generation = generationIn(delivery.data);
    return {
      id,
      name,
      queue,
      workflowId: rootOf(id),
      position: positionOf(id),
      at: new Date(this.clock.wallMs()).toISOString(),
      attempt: activations,
      retries: attemptsMade,
      ...(generation === undefined ? {} : { generation }),
      ...(headers === undefined ? {} : { headers: this.discretion.redact('headers', headers) }),
    };
  }
}
