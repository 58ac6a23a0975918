import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { isTaskId } from '../canvas/call-options.js';
import type { GroupData } from '../canvas/canvas-data.js';
import { makeSignature } from '../canvas/signature.js';
import { InvalidTaskError } from '../errors/configuration.errors.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { Registrations } from '../nest/discovery/registrations.js';
import type { FoundTask } from '../nest/discovery/task-source.js';
import { DEFAULT_QUEUE } from '../options/resolve-options.js';
import type { JsonValue } from '../primitives/json.js';
import { compileRetryPolicy } from '../retry/retry-policy.js';
import type { TaskContext } from '../task/task-context.js';
import type { TaskDefinition } from '../task/task-definition.js';

/** Handing an event on fails only with Redis; it is tried for some minutes. */
const UNTIL_PUBLISHED = compileRetryPolicy({
  for: [BrokerUnavailableError],
  maxRetries: 20,
  backoff: { type: 'exponential', delay: '500ms', max: '30s', jitter: true },
});

/** What the task of an event comes to: the id of the group of its handlers' tasks. */
export type FannedOut = { readonly handlers: string };

/**
 * Hands an event with several handlers on to each of them. Whoever emits does not know them, so it publishes one task;
 * that one publishes a group with a task per handler. The group's id follows from the event's, so an attempt that is
 * repeated publishes nothing twice.
 */
@Injectable()
export class EventFanOut {
  constructor(private readonly registrations: Registrations) {}

  /** @throws InvalidTaskError when the handlers belong to different registrations */
  find(route: string, handlers: readonly FoundTask[]): FoundTask {
    const source = handlers.map((handler) => handler.source).join(' and ');
    const [connection = '', ...others] = new Set(handlers.map((handler) => handler.connection));
    if (others.length > 0) {
      throw new InvalidTaskError(
        `${source} handle the event "${route}" and belong to different connections. An event stays in one Redis.`,
      );
    }
    return {
      name: route,
      source,
      connection,
      members: handlers.map(({ name }) => name),
      define: () => this.#define(route, source, connection, handlers),
    };
  }

  #define(name: string, source: string, connection: string, handlers: readonly FoundTask[]): TaskDefinition {
    const engine = this.registrations.choose(connection);
    const tasks = handlers.map((handler) => handler.define());
    return {
      name,
      queue: tasks[0]?.queue ?? DEFAULT_QUEUE,
      source,
      options: { ignoreResult: false },
      policies: [UNTIL_PUBLISHED],
      invoke: async (args, context): Promise<FannedOut> => ({
        handlers: await engine.publish(groupOf(tasks, args, context)),
      }),
    };
  }
}

function groupOf(
  tasks: readonly TaskDefinition[],
  args: readonly JsonValue[],
  { id, headers }: TaskContext,
): GroupData {
  return {
    kind: 'group',
    members: tasks.map(({ name, queue }) => makeSignature(name, args, { taskQueue: queue })),
    options: { taskId: groupIdOf(id), headers },
  };
}

/** An id that follows from the event's. Ids of parts of canvases and very long ones do not fit as they are. */
function groupIdOf(id: string): string {
  const plain = `${id}-handlers`;
  return isTaskId(plain) ? plain : `${createHash('sha1').update(id).digest('base64url')}-handlers`;
}
