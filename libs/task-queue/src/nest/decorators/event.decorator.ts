import { InvalidTaskError } from '../../errors/configuration.errors.js';
import { didYouMean } from '../../options/did-you-mean.js';
import {
  isTaskEventType,
  TASK_EVENT_TYPES,
  type TaskEventOf,
  type TaskEventType,
} from '../../task/task-event.js';
import { declareEventHandler } from './metadata.js';
import { sourceOf } from './source-name.js';

/** Decorates a method that takes such an event, or nothing. */
export type EventMethodDecorator<Type extends TaskEventType> = <
  Method extends (event: TaskEventOf<Type>) => unknown,
>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<Method>,
) => void;

/**
 * The method is called with events of these types that this process makes: in the worker that runs the task, or where it
 * is published or revoked. At most once, beside the task, which does not wait for it; what it throws is logged. What
 * must happen belongs into a hook (`@OnFailure` and its kin), an errback or a callback.
 *
 * ```ts
 * @OnTaskEvent('retry', 'failure')
 * count(event: TaskRetryEvent | TaskFailureEvent): void {
 *   this.metrics.increment(`task.${event.type}`, { task: event.name });
 * }
 * ```
 *
 * @param types of the events; none means all
 * @throws InvalidTaskError for what is no type of an event
 */
export function OnTaskEvent<Type extends TaskEventType = TaskEventType>(
  ...types: Type[]
): EventMethodDecorator<Type> {
  return (target, method) => {
    const source = sourceOf(target, method);
    if (typeof target === 'function' || typeof method === 'symbol') {
      throw new InvalidTaskError(
        `${source}: @OnTaskEvent stands on a method of an instance whose name is a string.`,
      );
    }
    const wrong = types.find((type) => !isTaskEventType(type));
    if (wrong !== undefined) {
      throw new InvalidTaskError(
        `${source}: @OnTaskEvent takes types of events, got ${JSON.stringify(wrong)}` +
          `${didYouMean(String(wrong), TASK_EVENT_TYPES)}.`,
      );
    }
    declareEventHandler(target, method, types.length === 0 ? TASK_EVENT_TYPES : types);
  };
}
