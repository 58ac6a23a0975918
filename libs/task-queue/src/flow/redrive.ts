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
import { generationOf } from '../task/redriven.js';

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
  /** It was cancelled between two of its stages: nothing in it failed, and it goes on from where it was. */
  readonly isCut?: boolean;
  /** Its header was closed while members were pending. */
  readonly closed?: ClosedHeader;
  readonly failed: readonly (EndedNode | EndedTask)[];
  /** Members that are in no list: they were revoked while they waited, or removed by hand. Nothing of them is kept. */
  readonly lost?: readonly string[];
}

/** What has become of the members that were pending when a header was closed. */
export type ClosedHeader =
  /** All of them have ended. `late` are the indexes of those that returned; those that failed are among the failed ones. */
  | { readonly is: 'ended'; readonly late: readonly number[] }
  /** Some go on, or have only just ended: nothing of it is run again before that is kept. */
  | { readonly is: 'going-on'; readonly pending: number }
  /**
   * Not all were published, of which there are `published`; or nothing is kept of what they came to: none of it is run again.
   */
  | { readonly is: 'part'; readonly published?: number | undefined };

/** A job that is put back, with those of its children that are. */
export interface Rerun {
  readonly job: PlannedJob;
  readonly children: readonly Rerun[];
  /** Of a node: where it stands, and what is noted of its size. */
  readonly stage?: KeptStage;
  readonly size?: number;
  /** Of a node whose header was closed before all of its members were published: how many were. */
  readonly part?: number;
  /** Of a chord: the body that ran over the members before, and is superseded. */
  readonly drops?: Place;
  /** Of a chord whose header is not touched: what its recovery decided stands. */
  readonly keepsDecision?: boolean;
  /** Of a chord that is amended: what waits for its late members is what asks for it. */
  readonly isAmended?: boolean;
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
  /** Nodes whose headers were closed, and members of them go on: with how many. */
  readonly goingOn: readonly GoingOn[];
}

/** A node whose header was closed, and members of it have not ended. */
export interface GoingOn {
  readonly id: string;
  readonly pending: number;
}

/** @param generation the one that begins */
export function planRedrive(root: EndedNode, generation: number, ended: EndedGeneration): RedrivePlan {
  const tasks: string[] = [];
  const left: string[] = [];
  const goingOn: GoingOn[] = [];
  const rerun = again(root, { generation, tasks, left, goingOn });
  if (rerun === undefined) return { rerun, tasks, left, goingOn };
  const history = withHistory(root.node, { ...ended, rerun: tasks.length });
  const job = { ...rerun.job, data: { ...(rerun.job.data as NodeEnvelope), history } };
  return { rerun: { ...rerun, job }, tasks, left, goingOn };
}

/** The same of a task that stands alone. */
export function planTaskRedrive(task: EndedTask, generation: number): Rerun | undefined {
  const rerun = taskAgain(task, { generation, tasks: [], left: [] });
  return rerun && { ...rerun, job: { ...rerun.job, retention: 'age' } };
}

/** What a root remembers of its generations, with one more. */
export function withHistory({ history = [] }: NodeEnvelope, ended: EndedGeneration): EndedGeneration[] {
  return [...history, ended].slice(-HISTORY_KEPT);
}

/**
 * The generation that the redrive of this one has begun: the next one that its late members have not. Undefined where there
 * is none yet.
 */
export function redrivenAfter(root: NodeEnvelope, generation: number): number | undefined {
  const last = generationOf(root);
  if (last <= generation) return undefined;
  const { history = [] } = root;
  const oldest = history[0]?.generation ?? last;
  // What is not remembered any more was none of its last: of two that follow each other one is a redrive.
  if (oldest > generation) return generation + 1;
  const ended = history.find((one) => one.generation >= generation && one.amended !== true);
  return ended && ended.generation + 1;
}

/** Generations that a canvas remembers. */
const HISTORY_KEPT = 20;

/** What is gathered on the way down. */
export interface Course {
  readonly generation: number;
  readonly tasks: string[];
  readonly left: string[];
  readonly goingOn: GoingOn[];
}

function again(ended: EndedNode | EndedTask, course: Course): Rerun | undefined {
  if (ended.kind === 'task') return taskAgain(ended, course);
  if (ended.isOut) {
    course.left.push(ended.id);
    return undefined;
  }
  for (const id of ended.lost ?? []) course.left.push(id);
  switch (ended.node.node) {
    case 'task':
      return withChildren(ended, childrenAgain(ended.failed, course), course);
    case 'group':
      return groupAgain(ended, course);
    case 'chain':
      return (
        withChildren(ended, childrenAgain(ended.failed, course), course) ??
        stepAnew(ended, course) ??
        onward(ended, course)
      );
    case 'chord':
      return chordAgain(ended, ended.node, course);
  }
}

/** The call as it was, begun from scratch: no retries made, and no time by which it had to start. */
function taskAgain(
  { id, queue, call }: EndedTask,
  { generation, tasks, left }: Pick<Course, 'generation' | 'tasks' | 'left'>,
): Rerun | undefined {
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
  { node, closed }: Pick<EndedNode, 'node' | 'closed'>,
  members: EndedNode['failed'],
  course: Course,
): Rerun[] {
  if (closed !== undefined && closed.is !== 'ended') {
    for (const { id } of members) course.left.push(id);
    return [];
  }
  const reruns = childrenAgain(members, course);
  if (budgetOf(node) === undefined) return reruns;
  return reruns.map((member) => ({ ...member, job: { ...member.job, reports: true } }));
}

/** Members that came late count, also where nothing is run again beside them. */
function groupAgain(ended: EndedNode, course: Course): Rerun | undefined {
  const members = membersAgain(ended, ended.failed, course);
  if (members.length > 0 || lateOf(ended).length > 0)
    return nodeAgain(ended, members, course, undefined, lateOf(ended));
  noteGoingOn(ended, course);
  return undefined;
}

function noteGoingOn({ id, closed }: EndedNode, { goingOn }: Course): void {
  if (closed?.is === 'going-on') goingOn.push({ id, pending: closed.pending });
}

/** Members that returned after their header had been closed. */
function lateOf({ closed }: EndedNode): readonly number[] {
  return closed?.is === 'ended' ? closed.late : [];
}

/** Whether a node decides anew over all of its members, those among them that came late. */
export function isHeaderAnew({ job, keepsDecision }: Pick<Rerun, 'job' | 'keepsDecision'>): boolean {
  return (
    job.queue === CANVAS_QUEUE && (job.name === 'group' || job.name === 'chord') && keepsDecision !== true
  );
}

function withChildren(ended: EndedNode, children: readonly Rerun[], course: Course): Rerun | undefined {
  return children.length === 0 ? undefined : nodeAgain(ended, children, course, ended.stage);
}

/**
 * A chord's members, and then its body over all of them: one that ran before ran over others. Where no member is run again
 * it is the body alone.
 */
function chordAgain(ended: EndedNode, chord: ChordNode, course: Course): Rerun | undefined {
  const failed = ended.failed.filter(({ id }) => isMember(id));
  const members = membersAgain(ended, failed, course);
  const body = ended.stage?.child;
  if (members.length > 0 || lateOf(ended).length > 0) {
    const anew = body === undefined ? chord : { ...chord, anew: course.generation };
    const rerun = nodeAgain({ ...ended, node: anew }, members, course, undefined, lateOf(ended));
    return body === undefined ? rerun : { ...rerun, drops: body };
  }
  const rerun = body === undefined ? undefined : bodyAgain(ended, body, course);
  if (rerun === undefined) noteGoingOn(ended, course);
  return rerun ?? onward(ended, course);
}

/** A node with nothing to be run again, which had not come to its next step or its body when it was cancelled. */
function onward(ended: EndedNode, course: Course): Rerun | undefined {
  const isWhole = ended.closed === undefined || ended.closed.is === 'ended';
  return ended.isCut === true && isWhole ? nodeAgain(ended, [], course, ended.stage) : undefined;
}

/** The body of a chord whose header stays as it is. */
function bodyAgain(ended: EndedNode, body: Place, course: Course): Rerun | undefined {
  const failed = ended.failed.filter(({ id }) => !isMember(id));
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

function isMember(id: string): boolean {
  return Number.isInteger(memberIndex(id));
}

function nodeAgain(
  { id, node, size, closed }: EndedNode,
  children: readonly Rerun[],
  { generation }: Course,
  stage: KeptStage | undefined,
  late: readonly number[] = [],
): Rerun {
  const changed = [...late, ...children.map((child) => memberIndex(child.job.id))]
    .filter(Number.isInteger)
    .sort((one, other) => one - other);
  const redriven = { generation, changed };
  const part = closed?.is === 'part' ? closed.published : undefined;
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
    ...(part === undefined ? {} : { part }),
  };
}

/** How many jobs are put back. */
export function sizeOfRerun({ children }: Rerun): number {
  return children.reduce((sum, child) => sum + sizeOfRerun(child), 1);
}
