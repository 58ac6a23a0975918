import {
  type EventStream,
  OnTaskEvent,
  type TaskEvent,
  type TaskFailureEvent,
  type TaskProgressEvent,
  type TaskRetryEvent,
  type WorkflowService,
} from 'nestjs-task-queue';
import { assertType, type Equal } from './support.js';

declare const workflows: WorkflowService;

/** Every type of event has its own fields, and a switch over them is complete. */
export function headline(event: TaskEvent): string {
  switch (event.type) {
    case 'retry':
      return `${event.error.message} in ${event.delayMs}`;
    case 'failure':
      return `${event.reason} after ${event.attempt}`;
    case 'progress':
      return JSON.stringify(event.progress);
    case 'chord.recovered':
      return `${event.strategy}: ${event.failed} of ${event.size}`;
    case 'published':
    case 'received':
    case 'started':
    case 'success':
    case 'revoked':
    case 'skipped':
    case 'canvas.published':
    case 'canvas.sealed':
    case 'canvas.success':
    case 'canvas.failure':
    case 'canvas.revoked':
    case 'canvas.redriven':
    case 'chord.released':
    case 'callback.released':
    case 'errback.released':
    case 'mended':
      return event.id;
    case 'breaker.opened':
      return event.why;
    case 'breaker.half-open':
    case 'breaker.closed':
      return event.name;
  }
}

const all = workflows.events();
assertType<Equal<typeof all, Promise<EventStream<TaskEvent>>>>();
const some = workflows.events({ types: ['retry', 'failure'] });
assertType<Equal<typeof some, Promise<EventStream<TaskRetryEvent | TaskFailureEvent>>>>();
// @ts-expect-error no event has this type
void workflows.events({ types: ['failed'] });

export class Handlers {
  @OnTaskEvent()
  all(_event: TaskEvent): void {}
  @OnTaskEvent('retry', 'failure')
  some(_event: TaskRetryEvent | TaskFailureEvent): void {}
  @OnTaskEvent('progress')
  async wider(_event: TaskEvent): Promise<void> {}
  @OnTaskEvent('progress')
  none(): void {}
  // @ts-expect-error a method that takes another event
  @OnTaskEvent('retry')
  wrong(_event: TaskProgressEvent): void {}
  // @ts-expect-error no event has this type
  @OnTaskEvent('failed')
  unknown(): void {}
}
