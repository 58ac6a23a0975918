import type { TaskDefinition } from '../../task/task-definition.js';
import type { TaskProvider } from './task-provider.js';

/** A task of the application, of whichever registration. */
export interface FoundTask {
  readonly name: string;
  /** `ClassName.methodName`, for messages. */
  readonly source: string;
  /** The name of the registration that it belongs to. */
  readonly connection: string;
  /** Where its method stands, which hooks may name. Undefined for a task without a method of the user's. */
  readonly from?: { readonly provider: TaskProvider; readonly method: string };
  /** Tasks that this one stands for: a hook that names it is a hook of theirs as well. */
  readonly members?: readonly string[];
  /** Makes it callable; asked only where it is served. @throws InvalidTaskError when it cannot be */
  readonly define: () => TaskDefinition;
}

/**
 * A provider that finds tasks which are declared otherwise than by `@Task`: the pattern handlers of a transport, say.
 * The discovery asks every provider of this class.
 */
export abstract class TaskSource {
  /**
   * @param names the names of all registrations of the application
   * @throws InvalidTaskError when a task cannot be served as it is declared
   */
  abstract find(names: readonly string[]): Iterable<FoundTask>;
}
