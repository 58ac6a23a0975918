import { BaseRpcContext } from '@nestjs/microservices';
import type { JsonValue } from '../primitives/json.js';
import type { TaskContext } from '../task/task-context.js';

/** The header under which a client sends what its dispatch hook attached to a packet. */
export const METADATA_HEADER = 'rpc.metadata';

/**
 * The second argument of a pattern handler, `@Ctx() context: TaskQueueContext`, and what
 * `switchToRpc().getContext()` gives in its guards, interceptors and filters. One object per attempt.
 */
export class TaskQueueContext extends BaseRpcContext<[task: TaskContext, pattern: string]> {
  /** The attempt: its id, its number, its signal, `progress()` and `retry()`. */
  getTask(): TaskContext {
    return this.args[0];
  }

  /** The pattern as a text: an object pattern is spelt with its keys in order, as Nest does. */
  getPattern(): string {
    return this.args[1];
  }

  /** Headers that were published with the message. */
  getHeaders(): Readonly<Record<string, JsonValue>> {
    return this.args[0].headers;
  }

  /** What the dispatch hook of the client attached to the packet; undefined without one. */
  getMetadata(): JsonValue | undefined {
    return this.getHeaders()[METADATA_HEADER];
  }
}
