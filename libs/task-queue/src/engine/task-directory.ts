import type { CanvasData } from '../canvas/canvas-data.js';
import { visitCanvas } from '../canvas/canvas-walk.js';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { TaskRegistry } from '../task/task-registry.js';

/** What publishing needs to know of a task. */
export interface TaskLabel extends Pick<TaskDefinition, 'name' | 'queue' | 'options' | 'idempotent'> {
  /** The registration that its declaration names. */
  readonly connection?: string | undefined;
}

/**
 * What one registration knows of tasks: those that it serves, and those that it only calls. Where an application has
 * several registrations, it sees the others' as well.
 */
export class TaskDirectory {
  readonly #called = new Map<string, TaskLabel>();
  /** Those of the application's other registrations. */
  others: readonly TaskDirectory[] = [];

  constructor(
    /** The name of the registration. */
    readonly name: string,
    private readonly served: TaskRegistry,
  ) {}

  /** Learns what tasks say that this application calls, but does not serve. */
  learn(tasks: Iterable<TaskLabel>): void {
    for (const task of tasks) this.#called.set(task.name, task);
  }

  labelOf(task: string): TaskLabel | undefined {
    return this.served.get(task) ?? this.#called.get(task);
  }

  /** The queues of all tasks that are known here. */
  queues(): Set<string> {
    return new Set([...this.served.all(), ...this.#called.values()].map(({ queue }) => queue));
  }

  /**
   * The registration to which a task belongs: the one that it names, else the one that serves it. A task that names
   * none and is not served here goes where it is called.
   */
  homeOf({ name, connection }: Pick<TaskLabel, 'name' | 'connection'>): string {
    if (connection !== undefined) return connection;
    if (this.served.get(name)) return this.name;
    return this.others.find((other) => other.served.get(name))?.name ?? this.name;
  }

  /**
   * Nobody who serves this registration's queues would know a task of another one.
   *
   * @throws InvalidCanvasError when a task of the canvas belongs to another registration, as far as is known here
   */
  refuseForeign(canvas: CanvasData): void {
    if (this.others.length === 0) return;
    visitCanvas(canvas, (node, path) => {
      if (node.kind !== 'task') return;
      const label = this.labelOf(node.task);
      const home = label ? this.homeOf(label) : this.others.find((other) => other.labelOf(node.task))?.name;
      if (home === undefined || home === this.name) return;
      throw new InvalidCanvasError(
        path.toString(),
        `task "${node.task}" belongs to the connection "${home}", and the canvas is published through ` +
          `"${this.name}". A canvas stays in one Redis: let a task of one publish the other.`,
      );
    });
  }
}
