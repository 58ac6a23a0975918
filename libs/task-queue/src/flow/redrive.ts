import {
  budgetOf,
  type ChordNode,
  type EndedGeneration,
  type NodeEnvelope,
  type TaskEnvelope,
} from './envelope.js';
import { timerOf } from './compile-canvas.js';
import type { PlannedJob } from './flow-plan.js';
import { CANVAS_QUEUE, memberIndex } from './ids.js';

/**
 * Which parts of a canvas that has ended are run again: a pure decision over what is kept of it.
 *
 * What failed is put back, and with it every node above it up to the root; whatever has a value stays as it is, where it
 * is. The nodes that are put back then go on by `advanceNode`, as they did the first time:
 *
 * ```
 * task   its task again
 * chain  its failed step again, with the value of the step before
 * group  its failed members again
 * chord  its failed members again, and then its body over all of them; its body alone where no member failed
 * ```
 */

/** A job by its queue and id. */
interface Place {
  readonly queue: string;
  readonly id: string;
}

/** The stage at which a node stands, whose child is there. */
export interface KeptStage {
  readonly stage: number;
  readonly child?: Place;
  readonly before?: Place;
}

/** A task of a canvas that failed. */
export interface EndedTask extends Place {
  readonly kind: 'task';
  /**
   * The call as it is kept. `gone`: its job was removed, by hand or because its queue keeps failed ones for a shorter time;
   * `revoked`: somebody asked for that.
   */
  readonly call: KeptCall | 'gone' | 'revoked';
}

/** What the job of a task that failed still holds. */
export interface KeptCall {
  readonly name: string;
  readonly data: TaskEnvelope;
  readonly priority?: number;
}

/** A node that has ended, with those of its children that failed. */
export interface EndedNode {
  readonly kind: 'node';
  readonly id: string;
  readonly node: NodeEnvelope;
  /** How many members it has, where that is noted beside its data. */
  readonly size?: number;
  readonly stage?: KeptStage;
  /** It is not run again: it was revoked by itself, or its members were never all published. */
  readonly isOut: boolean;
  /** Its header was closed while members were pending, whose ends nobody has heard of: none of it is run again. */
  readonly isClosed?: boolean;
  readonly failed: readonly (EndedNode | EndedTask)[];
}

/** A job that is put back, with those of its children that are. */
export interface Rerun {
  readonly job: PlannedJob;
  readonly children: readonly Rerun[];
  /** Of a node: where it stands, and what is noted of its size. */
  readonly stage?: KeptStage;
  readonly size?: number;
  /** Of a chord: the body that ran over the members before, and is superseded. */
  readonly drops?: Place;
  /** Of a chord whose header is not touched: what its recovery decided stands. */
  readonly keepsDecision?: boolean;
  /** Of a chord: what its late members came to becomes what its header came to. */
  readonly takesLate?: boolean;
  /** Of a header too wide for one step: it is held back, and members of it that failed are put back one after the other. */
  readonly isHeld?: boolean;
}

/** What is run again. */
export interface RedrivePlan {
  /** Undefined when there is nothing that could be. */
  readonly rerun: Rerun | undefined;
  /** Ids of the tasks that are run again. */
  readonly tasks: readonly string[];
  /** Ids of tasks and nodes that failed, and are left as they are. */
  readonly left: readonly string[];
}

/** @param generation the one that begins */
export function planRedrive(root: EndedNode, generation: number, ended: EndedGeneration): RedrivePlan {
  const tasks: string[] = [];
  const left: string[] = [];
  const rerun = again(root, { generation, tasks, left });
  if (rerun === undefined) return { rerun, tasks, left };
  const history = withHistory(root.node, { ...ended, rerun: tasks.length });
  const job = { ...rerun.job, data: { ...(rerun.job.data as NodeEnvelope), history } };
  return { rerun: { ...rerun, job }, tasks, left };
}

/** What a root remembers of its generations, with one more. */
export function withHistory({ history = [] }: NodeEnvelope, ended: EndedGeneration): EndedGeneration[] {
  return [...history, ended].slice(-HISTORY_KEPT);
}

/** Generations that a canvas remembers. */
const HISTORY_KEPT = 20;

/** What is gathered on the way down. */
export interface Course {
  readonly generation: number;
  readonly tasks: string[];
  readonly left: string[];
}

function again(ended: EndedNode | EndedTask, course: Course): Rerun | undefined {
  if (ended.kind === 'task') return taskAgain(ended, course);
  if (ended.isOut) {
    course.left.push(ended.id);
    return undefined;
  }
  switch (ended.node.node) {
    case 'task':
      return withChildren(ended, childrenAgain(ended.failed, course), course);
    case 'group':
      return withChildren(ended, membersAgain(ended, ended.failed, course), course);
    case 'chain':
      return withChildren(ended, childrenAgain(ended.failed, course), course) ?? stepAnew(ended, course);
    case 'chord':
      return chordAgain(ended, ended.node, course);
  }
}

/** The call as it was, begun from scratch: no retries made, and no time by which it had to start. */
function taskAgain({ id, queue, call }: EndedTask, { generation, tasks, left }: Course): Rerun | undefined {
  if (typeof call === 'string') {
    left.push(id);
    return undefined;
  }
  tasks.push(id);
  const {
    expires: _expires,
    retried: _retried,
    attempts: _attempts,
    lost: _lost,
    parked: _parked,
    waitingSince: _waiting,
    replaced: _replaced,
    ...data
  } = call.data;
  // A body that is run again alone follows the same members as before, of which none has changed.
  const redriven = { generation, changed: [] };
  const job: PlannedJob = {
    id,
    queue,
    name: call.name,
    data: { ...data, redriven },
    retention: 'parent',
    ...(call.priority === undefined ? {} : { priority: call.priority }),
  };
  return { job, children: [] };
}

function childrenAgain(children: EndedNode['failed'], course: Course): Rerun[] {
  return children.map((child) => again(child, course)).filter((child) => child !== undefined);
}

/** Members of a header with a budget tell it of each failure. */
export function membersAgain(
  { node, isClosed }: Pick<EndedNode, 'node' | 'isClosed'>,
  members: EndedNode['failed'],
  course: Course,
): Rerun[] {
  if (isClosed === true) {
    for (const { id } of members) course.left.push(id);
    return [];
  }
  const reruns = childrenAgain(members, course);
  if (budgetOf(node) === undefined) return reruns;
  return reruns.map((member) => ({ ...member, job: { ...member.job, reports: true } }));
}

function withChildren(ended: EndedNode, children: readonly Rerun[], course: Course): Rerun | undefined {
  return children.length === 0 ? undefined : nodeAgain(ended, children, course, ended.stage);
}

/**
 * A chord's members, and then its body over all of them: one that ran before ran over others. Where no member is run again
 * it is the body alone.
 */
function chordAgain(ended: EndedNode, chord: ChordNode, course: Course): Rerun | undefined {
  const isMember = ({ id }: { readonly id: string }): boolean => Number.isInteger(memberIndex(id));
  const members = membersAgain(ended, ended.failed.filter(isMember), course);
  const body = ended.stage?.child;
  if (members.length > 0) {
    const anew = body === undefined ? chord : { ...chord, anew: course.generation };
    const rerun = nodeAgain({ ...ended, node: anew }, members, course, undefined);
    return body === undefined ? rerun : { ...rerun, drops: body };
  }
  if (body === undefined) return undefined;
  const failed = ended.failed.filter((child) => !isMember(child));
  const bodies = childrenAgain(failed, course);
  if (bodies.length > 0) return { ...nodeAgain(ended, bodies, course, ended.stage), keepsDecision: true };
  if (!isGone(failed)) return undefined;
  // The chord knows its body: from before it was added it goes on by itself.
  restore(course, body.id);
  return { ...nodeAgain(ended, [], course, undefined), drops: body, keepsDecision: true };
}

/** A step whose job is gone: its chain knows it, and goes on from the step before. The first one it does not know. */
function stepAnew(ended: EndedNode, course: Course): Rerun | undefined {
  const { stage } = ended;
  if (stage?.child === undefined || !isGone(ended.failed)) return undefined;
  restore(course, stage.child.id);
  const before: KeptStage | undefined =
    stage.stage === 1 || stage.before === undefined
      ? undefined
      : { stage: stage.stage - 1, child: stage.before };
  return { ...nodeAgain(ended, [], course, before), drops: stage.child };
}

function isGone(failed: EndedNode['failed']): boolean {
  return failed.length > 0 && failed.every((child) => child.kind === 'task' && child.call === 'gone');
}

/** It is run again after all. */
function restore({ tasks, left }: Course, id: string): void {
  left.splice(left.indexOf(id), 1);
  tasks.push(id);
}

function nodeAgain(
  { id, node, size }: EndedNode,
  children: readonly Rerun[],
  { generation }: Course,
  stage: KeptStage | undefined,
): Rerun {
  const changed = children
    .map((child) => memberIndex(child.job.id))
    .filter(Number.isInteger)
    .sort((one, other) => one - other);
  const redriven = { generation, changed };
  return {
    job: {
      id,
      queue: CANVAS_QUEUE,
      name: node.node,
      data: { ...node, redriven },
      retention: 'canvas',
      // The time of its deadline begins anew with its members.
      ...(node.node === 'chord' && node.deadline !== undefined && stage === undefined
        ? { timer: timerOf(id, node.deadline, { redriven }) }
        : {}),
    },
    children,
    ...(stage === undefined ? {} : { stage }),
    ...(size === undefined ? {} : { size }),
  };
}

/** How many jobs are put back. */
export function sizeOfRerun({ children }: Rerun): number {
  return children.reduce((sum, child) => sum + sizeOfRerun(child), 1);
}
