import type { JsonValue } from '../../primitives/json.js';
import type { TaskContext } from '../../task/task-context.js';
import type { TaskEvent } from '../../task/task-event.js';
import type { HookDefinition, HookKind } from '../../task/task-definition.js';

/** What `ExecutionContext#getType()` gives inside a task, in guards, interceptors and filters. */
export const TASK_CONTEXT_TYPE = 'task-queue' as const;
export type TaskContextType = typeof TASK_CONTEXT_TYPE;

/** What `@Inject(REQUEST)` gives in a request-scoped provider of a task: one object per attempt. */
export interface TaskRequest {
  readonly task: TaskContext;
  readonly args: readonly JsonValue[];
  /** Headers that were published with the call, where strategies for durable providers look for a tenant. */
  readonly headers: Readonly<Record<string, JsonValue>>;
}

/** What `@Inject(REQUEST)` gives in a request-scoped provider of a hook: one object per call. */
export interface HookRequest {
  readonly hook: HookKind;
  readonly payload: Parameters<HookDefinition['invoke']>[0];
  /** Headers that were published with the call of the task: a hook belongs to the same tenant. */
  readonly headers: Readonly<Record<string, JsonValue>>;
}

/** What `@Inject(REQUEST)` gives in a request-scoped provider of an `@OnTaskEvent` method: one object per call. */
export interface EventRequest {
  readonly event: TaskEvent;
  /** Those of the event, where durable strategies look for a tenant. */
  readonly headers: Readonly<Record<string, JsonValue>>;
}
