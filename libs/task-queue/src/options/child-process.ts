const CHILD = Symbol.for('nestjs-task-queue:child');

/**
 * Whether this process is a child of a process pool. A fact about the process, as its id is, and so no state of an
 * application: two copies of the package have to agree on it, and what a child starts itself must not take it over, as
 * it would an environment variable.
 */
export function isChildProcess(): boolean {
  return CHILD in globalThis;
}

/** To be said once, before the application of the child is loaded. */
export function becomeChildProcess(): void {
  Object.defineProperty(globalThis, CHILD, { value: true });
}
