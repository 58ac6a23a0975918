import type { ErrorCode } from './error-code.js';

const BRAND = Symbol.for('nestjs-task-queue:error');

/**
 * The base of every error that this library throws.
 *
 * `code` is stable and listed in docs/errors.md. `instanceof` works across two copies of the package (an app
 * that has two versions installed), because it compares names along the class chain instead of identities.
 */
export abstract class TaskQueueError extends Error {
  abstract readonly code: ErrorCode;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    Object.defineProperty(this, BRAND, { value: lineageOf(new.target) });
  }

  static override [Symbol.hasInstance](this: { name: string; prototype: object }, value: unknown): boolean {
    if (typeof value !== 'object' || value === null) return false;
    if (Object.prototype.isPrototypeOf.call(this.prototype, value)) return true;
    const lineage = (value as { [BRAND]?: unknown })[BRAND];
    return Array.isArray(lineage) && lineage.includes(this.name);
  }
}

function lineageOf(type: { name: string }): string[] {
  const names: string[] = [];
  for (
    let at: { name: string } | null = type;
    at !== null && at.name;
    at = Object.getPrototypeOf(at) as typeof at
  ) {
    names.push(at.name);
    if (at.name === 'TaskQueueError') break;
  }
  return names;
}
