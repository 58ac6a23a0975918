import { CanvasTooLargeError } from '../errors/publish.errors.js';
import { jsonBound, jsonBytes } from '../primitives/json-size.js';
import type { CanvasData } from './canvas-data.js';

/** How large the parts of a canvas may be, in bytes of JSON. */
export interface CanvasLimits {
  /** All arguments of one call together. */
  readonly argumentBytes: number;
  /** What one composite has to keep for later: the steps after its first, its body, its callbacks. */
  readonly canvasBytes: number;
  /** That arguments are looked at by somebody else: a codec is yet to write them. */
  readonly argumentsAside?: true;
}

/** Of canvases that are looked at, not published. */
export const UNLIMITED: CanvasLimits = { argumentBytes: Infinity, canvasBytes: Infinity };

/**
 * Refuses a canvas of which one job would have to hold too much. What starts at once lies in jobs of its own; what comes
 * later, lies in the job of its composite until its time has come.
 *
 * A task without callbacks costs nothing, a member of a group a look.
 *
 * @throws CanvasTooLargeError
 */
export function checkCanvasSize(canvas: CanvasData, limit: number): void {
  if (limit === Infinity) return;
  const found = tooLarge(canvas, limit);
  if (found) throw new CanvasTooLargeError(found.path.join('.') || 'root', found.bytes, limit);
}

interface TooLarge {
  readonly path: readonly string[];
  readonly bytes: number;
}

function tooLarge(node: CanvasData, limit: number): TooLarge | undefined {
  const later = keptFor(node);
  if (later.length > 0) {
    const bound = jsonBound(later);
    const bytes = bound >= 0 && bound <= limit ? 0 : jsonBytes(later);
    if (bytes > limit) return { path: [], bytes };
  }
  switch (node.kind) {
    case 'task':
      return undefined;
    case 'chain':
      return tooLargeOf(node.steps.slice(0, 1), 'steps', limit);
    case 'group':
      return tooLargeOf(node.members, 'members', limit);
    case 'chord':
      return tooLargeOf(node.header, 'header', limit);
  }
}

function tooLargeOf(nodes: readonly CanvasData[], field: string, limit: number): TooLarge | undefined {
  for (const [index, node] of nodes.entries()) {
    const found = tooLarge(node, limit);
    if (found) return { ...found, path: [`${field}[${index}]`, ...found.path] };
  }
  return undefined;
}

/** What the job of a node holds until its time has come. */
function keptFor(node: CanvasData): readonly CanvasData[] {
  const callbacks = [...(node.links ?? NONE), ...(node.errbacks ?? NONE)];
  switch (node.kind) {
    case 'task':
    case 'group':
      return callbacks;
    case 'chain':
      return [...node.steps.slice(1), ...callbacks];
    case 'chord':
      return [node.body, ...(typeof node.late === 'object' ? [node.late] : NONE), ...callbacks];
  }
}

const NONE: readonly CanvasData[] = [];
