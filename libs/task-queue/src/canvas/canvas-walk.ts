import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { CanvasData, LateData } from './canvas-data.js';

/** The property of a node under which a child stands. */
export type ChildField = 'steps' | 'members' | 'header' | 'body' | 'late' | 'links' | 'errbacks';

/** Where the visited node stands. Valid during the visit only: it is one object that moves along. */
export interface CanvasPath {
  /** `root`, or a path such as `header[3].steps[1]`. */
  toString(): string;
}

/**
 * Deeper canvases are refused: JSON itself gives up on them somewhere above this, and a cycle in data that
 * somebody wrote by hand would never end.
 */
export const MAX_CANVAS_DEPTH = 512;

/** Visits every node, parents first, with callbacks and errbacks. What the visitor throws ends the walk. */
export function visitCanvas(root: CanvasData, visit: (node: CanvasData, path: CanvasPath) => void): void {
  const trail = new Trail();
  const enter = (node: CanvasData): void => {
    visit(node, trail);
    eachChild(node, descend);
  };
  const descend = (child: CanvasData, field: ChildField, index: number): void => {
    trail.push(field, index);
    enter(child);
    trail.pop();
  };
  enter(root);
}

/** The nodes directly under this one, in definition order, a chord's body after its header. */
export function eachChild(node: CanvasData, each: EachChild): void {
  switch (node.kind) {
    case 'task':
      break;
    case 'chain':
      eachOf(node.steps, 'steps', each);
      break;
    case 'group':
      eachOf(node.members, 'members', each);
      break;
    case 'chord':
      eachOf(node.header, 'header', each);
      each(node.body, 'body', -1);
      if (isCanvas(node.late)) each(node.late, 'late', -1);
      break;
    default:
      node satisfies never;
  }
  if (node.links !== undefined) eachOf(node.links, 'links', each);
  if (node.errbacks !== undefined) eachOf(node.errbacks, 'errbacks', each);
}

type EachChild = (child: CanvasData, field: ChildField, index: number) => void;

function eachOf(children: readonly CanvasData[], field: ChildField, each: EachChild): void {
  // Not forEach: that would step over a hole in an array instead of showing it to the validator.
  for (let index = 0; index < children.length; index++) each(children[index] as CanvasData, field, index);
}

/** Rebuilds every node, children first. What does not change is shared with the old canvas, not copied. */
export function mapCanvas(root: CanvasData, change: (node: CanvasData) => CanvasData): CanvasData {
  return rebuild(root, change, () => true, 0);
}

/**
 * Rebuilds the nodes that are released as soon as the canvas is, and that get the value put into it: the
 * root, the first step of a chain, every member of a group, every member of a chord's header; at any depth.
 */
export function mapEntryNodes(root: CanvasData, change: (node: CanvasData) => CanvasData): CanvasData {
  return rebuild(root, change, isEntry, 0);
}

function isEntry(field: ChildField, index: number): boolean {
  return field === 'members' || field === 'header' || (field === 'steps' && index === 0);
}

type Choice = (field: ChildField, index: number) => boolean;

function rebuild(
  node: CanvasData,
  change: (node: CanvasData) => CanvasData,
  reaches: Choice,
  depth: number,
): CanvasData {
  if (node.kind === 'task' && node.links === undefined && node.errbacks === undefined) return change(node);
  refuseDepth(depth);
  const one = (child: CanvasData, field: ChildField, index: number): CanvasData =>
    reaches(field, index) ? rebuild(child, change, reaches, depth + 1) : child;
  return change(replaceChildren(node, one));
}

/** The node with other children; the node itself when every child stays what it was. */
function replaceChildren(
  node: CanvasData,
  one: (child: CanvasData, field: ChildField, index: number) => CanvasData,
): CanvasData {
  const list = (children: readonly CanvasData[], field: ChildField): readonly CanvasData[] => {
    let changed = false;
    const made = children.map((child, index) => {
      const next = one(child, field, index);
      changed ||= next !== child;
      return next;
    });
    return changed ? Object.freeze(made) : children;
  };
  const children: Partial<Record<ChildField, CanvasData | readonly CanvasData[]>> = {
    ...(node.kind === 'chain' ? { steps: list(node.steps, 'steps') } : {}),
    ...(node.kind === 'group' ? { members: list(node.members, 'members') } : {}),
    ...(node.kind === 'chord'
      ? {
          header: list(node.header, 'header'),
          body: one(node.body, 'body', -1),
          ...(isCanvas(node.late) ? { late: one(node.late, 'late', -1) } : {}),
        }
      : {}),
    ...(node.links ? { links: list(node.links, 'links') } : {}),
    ...(node.errbacks ? { errbacks: list(node.errbacks, 'errbacks') } : {}),
  };
  const old = node as unknown as typeof children;
  const isNew = (Object.keys(children) as ChildField[]).some((field) => children[field] !== old[field]);
  return isNew ? Object.freeze({ ...node, ...children } as CanvasData) : node;
}

function isCanvas(late: LateData | undefined): late is CanvasData {
  return typeof late === 'object' && late !== null;
}

function refuseDepth(depth: number): void {
  if (depth <= MAX_CANVAS_DEPTH) return;
  throw new InvalidCanvasError('root', `it is nested deeper than ${MAX_CANVAS_DEPTH} levels`);
}

/** The path as a stack, so that a walk over 100,000 members builds no text that nobody reads. */
class Trail implements CanvasPath {
  readonly #fields: ChildField[] = [];
  readonly #indexes: number[] = [];

  push(field: ChildField, index: number): void {
    refuseDepth(this.#fields.length + 1);
    this.#fields.push(field);
    this.#indexes.push(index);
  }

  pop(): void {
    this.#fields.pop();
    this.#indexes.pop();
  }

  toString(): string {
    if (this.#fields.length === 0) return 'root';
    return this.#fields
      .map((field, at) => (this.#indexes[at] === -1 ? field : `${field}[${this.#indexes[at]}]`))
      .join('.');
  }
}
