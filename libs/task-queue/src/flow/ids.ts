import { randomFillSync } from 'node:crypto';

/**
 * Ids and places.
 *
 * A canvas has one id. Everything inside it is named by its path below: `<canvas>.<path>`, where a path
 * segment is the index of a member or step, or `body`. So the id of every member is known before anything is
 * dispatched, a node's parent is known from the id alone, and a second publication of the same canvas makes
 * the same ids.
 *
 * Callbacks, errbacks and hooks that a node releases are canvases of their own, named after the node that
 * released them: `<node>.link.0`, `<node>.errback.0`, `<node>.late.0`. A fixed name is what makes releasing them twice harmless. The same
 * holds for the canvas that takes a running task's place, `<task>.replacement.0`, for what handles a task's dead letter,
 * `<task>.letter.0`, and for a task that is run again out of its dead letter, `<task>.redrive.0`. What is released in a
 * later generation of a canvas that was redriven has that in its name as well: `<node>.g1.errback.0`.
 *
 * The unit of placement is a canvas: all of its keys lie under one hash tag, `{<prefix>:<shard>}`. The shard
 * is part of a generated id (`<shard>~<random>`), and follows from a hash of an id that the caller chose, so a
 * handle made from an id needs no look-up.
 */

/** The queue of composite nodes. Users cannot take the name: theirs may not begin with an underscore. */
export const CANVAS_QUEUE = '_canvas';

/** A path segment: which child of a node. */
export type ChildName = number | BodyName | DeadlineName | 'sentinel' | 'hold' | 'late';

/** A chord's body; of a later generation when one has run before over other members: `body-1`. */
export type BodyName = 'body' | `body-${number}`;

/** The timer of a chord's deadline; of a later generation one of its own: `deadline-1`. */
export type DeadlineName = 'deadline' | `deadline-${number}`;

/** Makes the id of a new canvas. */
export function newCanvasId(shards: number, random: () => number = Math.random): string {
  const shard = shards === 1 ? 0 : Math.floor(random() * shards);
  return `${shard.toString(36)}~${randomName()}`;
}

/** 120 random bits in 20 characters. Short, because an id stands in every key and event of its task. */
function randomName(): string {
  if (pooled >= pool.length) {
    randomFillSync(pool);
    pooled = 0;
  }
  return pool.toString('base64url', pooled, (pooled += RANDOM_BYTES));
}

const RANDOM_BYTES = 15;
/** Randomness is fetched for many ids at once; nothing of it is used twice. */
const pool = Buffer.allocUnsafe(RANDOM_BYTES * 256);
let pooled = pool.length;

export function childId(node: string, child: ChildName): string {
  return `${node}.${child}`;
}

export function releasedId(
  node: string,
  kind: 'link' | 'errback' | 'late' | 'hook' | 'replacement' | 'letter' | 'redrive',
  index: number,
  generation = 0,
): string {
  return generation === 0 ? `${node}.${kind}.${index}` : `${node}.g${generation}.${kind}.${index}`;
}

const REDRIVEN = /\.redrive\.(\d+)$/;

/** The id under which a task that has failed is run again: `<task>.redrive.0`, then `<task>.redrive.1` … */
export function redriveId(id: string): string {
  const redriven = REDRIVEN.exec(id);
  return redriven
    ? releasedId(id.slice(0, redriven.index), 'redrive', Number(redriven[1]) + 1)
    : releasedId(id, 'redrive', 0);
}

/** The id of the node that a child hangs on, or undefined for the root of a canvas. */
export function parentOf(id: string): string | undefined {
  const root = rootOf(id);
  return id === root ? undefined : id.slice(0, id.lastIndexOf('.'));
}

/** Whether anything waits for the value of this one: a node, or the task whose place it has taken. */
export function isAwaited(id: string): boolean {
  return parentOf(id) !== undefined || REPLACEMENT.test(id);
}

const REPLACEMENT = /^(.+)\.replacement\.\d+$/;

/** A task or node, and the nodes above it. */
export function lineOf(id: string): string[] {
  const line: string[] = [];
  for (let at: string | undefined = id; at !== undefined; at = parentOf(at)) line.push(at);
  return line;
}

/**
 * The nodes that a task could be a member of, from the inside out: those that it hangs below by an index, at any depth. A
 * canvas in a task's place belongs to what that task belongs to.
 */
export function membershipsOf(id: string): string[] {
  const nodes: string[] = [];
  for (let at: string | undefined = id; at !== undefined;) {
    const parent: string | undefined = parentOf(at);
    if (parent !== undefined && Number.isInteger(memberIndex(at))) nodes.push(parent);
    at = parent ?? replacedTask(at);
  }
  return nodes;
}

/** The id of the task whose place a canvas has taken, if it has taken one's. */
export function replacedTask(root: string): string | undefined {
  return REPLACEMENT.exec(root)?.[1];
}

/** The index of a member, or NaN for a child that has a name (`body`, `sentinel`, `hold`). */
export function memberIndex(id: string): number {
  return Number(id.slice(id.lastIndexOf('.') + 1));
}

const RELEASED = /^.*\.(?:link|errback|late|hook|replacement|letter|redrive)\.\d+/;

/** The id of the canvas that a node or task belongs to. */
export function rootOf(id: string): string {
  const released = RELEASED.exec(id);
  if (released) return released[0];
  const dot = id.indexOf('.');
  return dot < 0 ? id : id.slice(0, dot);
}

/** The same, where a canvas in a task's place belongs to what that task belongs to. */
export function wholeOf(id: string): string {
  const root = rootOf(id);
  const replaced = replacedTask(root);
  return replaced === undefined ? root : wholeOf(replaced);
}

/** The path of a node inside its canvas; empty for the root. */
export function positionOf(id: string): string {
  return id.slice(rootOf(id).length + 1);
}

/** Which shard holds a canvas. */
export function shardOf(id: string, shards: number): number {
  if (shards === 1) return 0;
  const tilde = id.indexOf('~');
  if (tilde > 0) {
    const shard = Number.parseInt(id.slice(0, tilde), 36);
    if (shard >= 0 && shard < shards) return shard;
  }
  const first = id.indexOf('.');
  return placeOf(first < 0 ? id : id.slice(0, first), shards);
}

/** Which shard holds what has a name that says nothing of shards. */
export function placeOf(name: string, shards: number): number {
  return shards === 1 ? 0 : fnv1a(name) % shards;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash;
}
