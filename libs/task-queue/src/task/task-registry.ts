import { DuplicateTaskError } from '../errors/configuration.errors.js';
import { type ErrorClass, isErrorClass } from '../retry/retry-policy.js';
import type { HookDefinition, HookKind, LetterHandler, TaskDefinition } from './task-definition.js';
import type { TaskEventHandler, TaskEventType } from './task-event.js';

/** Steps between an application and its tasks. For tests. */
export interface TaskProbe {
  /** @returns the task to serve in place of this one */
  task(definition: TaskDefinition): TaskDefinition;
}

/** What this application can run: tasks by name, and the hooks of each. One per module, never static. */
export class TaskRegistry {
  readonly #tasks = new Map<string, TaskDefinition>();
  readonly #hooks = new Map<string, HookDefinition[]>();
  readonly #letterHandlers: LetterHandler[] = [];
  readonly #eventHandlers = new Map<TaskEventType, TaskEventHandler[]>();

  constructor(private readonly probe?: TaskProbe) {}

  /** @throws DuplicateTaskError when another method has the same name */
  add(definition: TaskDefinition): void {
    const other = this.#tasks.get(definition.name);
    if (other) throw new DuplicateTaskError(definition.name, other.source, definition.source);
    this.#tasks.set(definition.name, this.probe?.task(definition) ?? definition);
  }

  addHook(hook: HookDefinition): void {
    for (const task of hook.tasks) {
      const key = hookKey(task, hook.kind);
      this.#hooks.set(key, [...(this.#hooks.get(key) ?? []), hook]);
    }
  }

  addLetterHandler(handler: LetterHandler): void {
    this.#letterHandlers.push(handler);
    // The order in which modules are loaded must not change which of them has which id.
    this.#letterHandlers.sort((one, other) => one.task.localeCompare(other.task));
  }

  /**
   * The tasks that handle the dead letters of a task of this queue, each once. A handler has none: its own failure would
   * call it again.
   */
  letterHandlersOf(task: string, queue: string): readonly LetterHandler[] {
    if (this.#letterHandlers.some((handler) => handler.task === task)) return [];
    const found = this.#letterHandlers.filter(
      ({ tasks, queues }) => (tasks?.includes(task) ?? true) && (queues?.includes(queue) ?? true),
    );
    return found.filter((handler, at) => handler.task !== found[at - 1]?.task);
  }

  get(name: string): TaskDefinition | undefined {
    return this.#tasks.get(name);
  }

  hooksOf(task: string, kind: HookKind): readonly HookDefinition[] {
    return this.#hooks.get(hookKey(task, kind)) ?? NO_HOOKS;
  }

  /** The class of errors of this name that a task says something about: in a retry policy, or as expected. */
  errorClass(name: string): ErrorClass | undefined {
    for (const { policies, options } of this.#tasks.values()) {
      const classes = [...policies.flatMap((policy) => policy.classes), ...(options.expected ?? [])];
      const found = classes.filter(isErrorClass).find((type) => type.name === name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  addEventHandler(handler: TaskEventHandler): void {
    for (const type of handler.types) {
      this.#eventHandlers.set(type, [...(this.#eventHandlers.get(type) ?? []), handler]);
    }
  }

  eventHandlersOf(type: TaskEventType): readonly TaskEventHandler[] {
    return this.#eventHandlers.get(type) ?? NO_EVENT_HANDLERS;
  }

  all(): TaskDefinition[] {
    return [...this.#tasks.values()];
  }
}

const NO_HOOKS: readonly HookDefinition[] = [];
const NO_EVENT_HANDLERS: readonly TaskEventHandler[] = [];
const hookKey = (task: string, kind: HookKind): string => `${kind}:${task}`;
