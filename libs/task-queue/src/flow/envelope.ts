import type { CallKey, CallOptions, CanvasData, ItemForm, LateData } from '../canvas/canvas-data.js';
import type { DeadlineData } from '../canvas/deadline-rule.js';
import type { Budget } from '../canvas/header-rules.js';
import type { FailedAttempt } from '../failure/dead-letter.js';
import type { TaskFailure } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';
import { generationIn, generationOf, type Redriven } from '../task/redriven.js';
import type { HookKind } from '../task/task-definition.js';
import type { BodyName, DeadlineName } from './ids.js';

/**
 * The wire format: what `job.data` holds. Version 1 of every form carries `v: 1`, so that data which somebody
 * else wrote is told apart, and a later version can be read beside it.
 */

/** Where the value comes from that stands in front of a task's stored arguments. */
export type InputRef =
  /** Small values travel with the task. */
  | { readonly from: 'value'; readonly value: JsonValue }
  /** The value of one child of a node, which the node holds. */
  | { readonly from: 'child'; readonly queue: string; readonly id: string }
  /** What all members of a node came to: read when the task runs, never copied. */
  | { readonly from: 'members'; readonly node: string; readonly size: number; readonly as: MembersForm }
  /** A failure, together with what all members of a node came to. */
  | {
      readonly from: 'failure';
      readonly failure: TaskFailure;
      readonly members: string;
      readonly size: number;
    };

/** In which form members are handed over: all values, the values of those that succeeded, or outcomes. */
export type MembersForm = 'values' | 'successes' | 'outcomes';

/** One call of one task. The task's name is the job's name. */
export interface TaskEnvelope {
  readonly v: 1;
  readonly args: readonly JsonValue[];
  readonly input?: InputRef;
  readonly headers?: Readonly<Record<string, JsonValue>>;
  readonly softTimeLimitMs?: number;
  readonly timeLimitMs?: number;
  readonly maxRetries?: number;
  /** Epoch milliseconds after which the task is not started any more. */
  readonly expires?: number;
  readonly ignoreResult?: boolean;
  readonly once?: CallKey;
  /** Since when it waits for another task that has its key: epoch milliseconds. */
  readonly waitingSince?: number;
  /** The handler is called for each item of the first argument. */
  readonly each?: ItemForm;
  /** What an item came to is an outcome in the list, also where it failed. */
  readonly settle?: boolean;
  /** What the first items returned, in attempts that did not get to the end of the list. */
  readonly done?: readonly JsonValue[];
  readonly retried?: RetryCount;
  /** The attempts that ended in an error and were followed by another one; the newest of them. */
  readonly attempts?: readonly FailedAttempt[];
  /** How often a process of its worker's pool died while it ran this task; BullMQ counts only workers. */
  readonly lost?: number;
  readonly parked?: ParkedNote;
  readonly replaced?: ReplacedNote;
  readonly redriven?: Redriven;
  /** A deadline above counts from its end. */
  readonly timed?: boolean;
}

/** What a task's message says to those who look at its job from outside; anybody may have written it. */
export function foundIn(data: Partial<TaskEnvelope>): {
  readonly headers?: NonNullable<TaskEnvelope['headers']>;
  readonly isTimed: boolean;
  readonly replacedBy?: ReplacedNote['by'];
  readonly generation?: number;
} {
  const { headers, replaced } = data;
  const generation = generationIn(data);
  return {
    isTimed: isTimed(data),
    ...(generation === undefined ? {} : { generation }),
    ...(headers === undefined ? {} : { headers }),
    ...(replaced === undefined ? {} : { replacedBy: replaced.by }),
  };
}

/** Whether headers hold all of these; a list there holds one of them. */
export function hasStamps(
  headers: TaskEnvelope['headers'],
  stamps: Readonly<Record<string, JsonValue>>,
): boolean {
  return Object.entries(stamps).every(([key, stamp]) => {
    const value = headers !== undefined && Object.hasOwn(headers, key) ? headers[key] : undefined;
    return Array.isArray(value) ? value.includes(stamp) : value === stamp;
  });
}

/**
 * A canvas has taken the task's place; the handler is not called any more. `adding` means that a crash may have come
 * between the note and the deed.
 */
export interface ReplacedNote {
  readonly state: 'adding' | 'added';
  readonly by: { readonly queue: string; readonly id: string };
  /** As long as it may have to be added again. */
  readonly canvas?: CanvasData;
}

/**
 * Retries that were asked for so far. It is noted before the attempt is handed back, so a crash in between leaves a
 * note of a retry that was never made: `attempts` tells.
 */
export interface RetryCount {
  /** How many under each policy, by its index. */
  readonly made: Readonly<Record<string, number>>;
  /** The policy of the last one. */
  readonly last: string;
  /** How many attempts have ended in an error when the last one counts. */
  readonly attempts: number;
  /** When the first attempt began, in epoch milliseconds. */
  readonly sinceMs?: number;
}

/** A task was turned away before it began, and came back later; that is no attempt. */
export interface ParkedNote {
  /** How often so far. */
  readonly times: number;
  /** Its slot in the line of its rate limit, by the store's clock; absent where that did not turn it away. */
  readonly slot?: number;
  /** The breaker that has turned it away, where it was one. */
  readonly breaker?: string;
  /** The retry budget that has turned it away, where it was one. */
  readonly budget?: string;
  /** Its retry has been counted in its budget. */
  readonly paid?: true;
  /** The attempt that it is about, by the attempts that had ended in an error. */
  readonly attempt: number;
}

/** How many activations of a job were turned away. */
export function timesParked(data: unknown): number {
  const times = (data as Partial<TaskEnvelope> | undefined)?.parked?.times;
  return typeof times === 'number' ? times : 0;
}

/** The retries that were really made, after so many attempts that ended in an error. */
export function retriesMade(
  count: RetryCount | undefined,
  attemptsMade: number,
): Readonly<Record<string, number>> {
  if (count === undefined) return {};
  if (count.attempts <= attemptsMade) return count.made;
  return { ...count.made, [count.last]: (count.made[count.last] ?? 1) - 1 };
}

/**
 * Whether an attempt has gone before that neither ended in a retry nor was the first: its worker died or gave it back, or
 * somebody put a failed job back by hand. What it left behind may be there.
 */
export function isRepeated({ retried }: TaskEnvelope, activations: number): boolean {
  return activations > 1 + (retried?.attempts ?? 0);
}

/** The count with one more retry, under this policy. */
export function withRetry(
  count: RetryCount | undefined,
  policy: number,
  attemptsMade: number,
  sinceMs: number,
): RetryCount {
  const made = retriesMade(count, attemptsMade);
  const last = String(policy);
  return {
    made: { ...made, [last]: (made[last] ?? 0) + 1 },
    last,
    attempts: attemptsMade + 1,
    sinceMs: count?.sinceMs ?? sinceMs,
  };
}

/** A composite: what its job needs to know to lead its children to one value. */
export type NodeEnvelope = TaskNode | ChainNode | GroupNode | ChordNode;

interface NodeBase {
  readonly v: 1;
  readonly links?: readonly CanvasData[];
  readonly errbacks?: readonly CanvasData[];
  /** Options that descendants inherit which are added later. */
  readonly inherit?: CallOptions;
  /** The queue of the first child of a task or chain node. */
  readonly firstQueue?: string;
  readonly redriven?: Redriven;
  /** Of the root of a canvas that was redriven: what its generations came to, the oldest first. */
  readonly history?: readonly EndedGeneration[];
  /** A deadline above counts from its end. */
  readonly timed?: boolean;
}

/** What a canvas came to before it was redriven. */
export interface EndedGeneration {
  readonly generation: number;
  readonly state: 'SUCCESS' | 'FAILURE';
  /** `Name: message`; of a chord that was recovered there is none. */
  readonly error?: string;
  /** ISO 8601. */
  readonly finishedAt: string;
  /** How many tasks were run again after it. */
  readonly rerun: number;
  /** What followed it was no redrive: its late members have amended it. */
  readonly amended?: true;
}

/** One task that has callbacks of its own. Child 0 is the task. */
export interface TaskNode extends NodeBase {
  readonly node: 'task';
}
/** Child k is step k; each is added when the one before it has succeeded. */
export interface ChainNode extends NodeBase {
  readonly node: 'chain';
  readonly size: number;
  /** All steps but the first, which was published with the node. */
  readonly rest: readonly CanvasData[];
}
/** Children 0 to size - 1 are the members. */
export interface GroupNode extends NodeBase {
  readonly node: 'group';
  readonly size: number;
  readonly budget?: Budget;
}
/** Children 0 to size - 1 are the header; the child `body` is added when they are terminal. */
export interface ChordNode extends NodeBase {
  readonly node: 'chord';
  readonly size: number;
  readonly body: CanvasData;
  readonly recovery: string;
  /** Members tell the node of each failure, not only of the last end. */
  readonly budget?: Budget;
  /** The generation whose members the body is for, when one has run before over others. */
  readonly anew?: number;
  readonly deadline?: DeadlineData;
  readonly late?: LateData;
}

/** The budget that a node was published with, if it is judged by one. */
export function budgetOf(node: NodeEnvelope): Budget | undefined {
  return node.node === 'group' || node.node === 'chord' ? node.budget : undefined;
}

/** What the body of a chord is called. */
export function bodyName({ anew }: ChordNode): BodyName {
  return anew === undefined ? 'body' : `body-${anew}`;
}

/**
 * What the timer of a chord's deadline is called. One name for all generations would let the timer of the last one, which
 * may still be about to end, keep that of the next one from being set.
 */
export function deadlineName(chord: Pick<ChordNode, 'redriven'>): DeadlineName {
  const generation = generationOf(chord);
  return generation === 0 ? 'deadline' : `deadline-${generation}`;
}

/** A node with the size that its record has by now: members may have been added since it was published. */
export function withSize(node: NodeEnvelope, size: number | undefined): NodeEnvelope {
  return size === undefined || node.node === 'task' ? node : { ...node, size };
}

/** Whether a node has, or will have, a child of this id. */
export function hasChild(node: NodeEnvelope, id: string): boolean {
  const name = id.slice(id.lastIndexOf('.') + 1);
  if (node.node === 'chord' && name === bodyName(node)) return true;
  return /^\d+$/.test(name) && Number(name) < (node.node === 'task' ? 1 : node.size);
}

/** Holds a wide node open while its members are being published; running it means that the producer died. */
export interface SentinelEnvelope {
  readonly v: 1;
  readonly node: 'sentinel';
  /** Of the node, when it was redriven. */
  readonly generation?: number;
}

/** Holds a parked node back; running it means nothing but that time has passed. */
export interface HoldEnvelope {
  readonly v: 1;
  readonly node: 'hold';
}

/** Runs the hooks of a task after it has ended, or releases what handles its dead letter. */
export interface HookEnvelope {
  readonly v: 1;
  readonly hook: HookKind | 'dead-letter';
  readonly task: string;
  readonly taskId: string;
  readonly failure?: TaskFailure;
  readonly args?: readonly JsonValue[];
  /** Those of a success; a failure holds its own. */
  readonly headers?: Readonly<Record<string, JsonValue>>;
  /** Of the task, when its canvas was redriven. */
  readonly generation?: number;
}

/** Comes due when the header of the chord above it may be. */
export interface TimerEnvelope extends Pick<DeadlineData, 'afterMs' | 'from'> {
  readonly v: 1;
  readonly node: 'deadline';
  /** Of that chord, unless it is the first. */
  readonly generation?: number;
}

/** Waits for the members that had not ended when the header of the chord above it was closed. */
export interface LateEnvelope {
  readonly v: 1;
  readonly node: 'late';
}

/** What lies in the queue of composite nodes. */
export type CanvasEnvelope = NodeEnvelope | SentinelEnvelope | HoldEnvelope | TimerEnvelope | LateEnvelope;

/** A node itself, not what stands beside one. */
export function asNode(envelope: CanvasEnvelope): NodeEnvelope | undefined {
  switch (envelope.node) {
    case 'sentinel':
    case 'hold':
    case 'deadline':
    case 'late':
      return undefined;
    case 'task':
    case 'chain':
    case 'group':
    case 'chord':
      return envelope;
  }
}

/** Whether its node counts a deadline from the ends of its members. */
export function isTimed(data: unknown): boolean {
  return (data as { readonly timed?: unknown } | undefined)?.timed === true;
}

export type Envelope = TaskEnvelope | CanvasEnvelope | HookEnvelope;
