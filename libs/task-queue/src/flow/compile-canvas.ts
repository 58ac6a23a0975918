import type {
  CallOptions,
  CanvasData,
  ChainData,
  ChordData,
  GroupData,
  SignatureData,
} from '../canvas/canvas-data.js';
import { countsOutcomes, type DeadlineData } from '../canvas/deadline-rule.js';
import { FAIL_FAST } from '../canvas/header-rules.js';
import { generationOf, type Redriven } from '../task/redriven.js';
import {
  type ChordNode,
  deadlineName,
  type GroupNode,
  type InputRef,
  type NodeEnvelope,
  type TaskEnvelope,
} from './envelope.js';
import type { FlowPlan, PlannedJob, Retention } from './flow-plan.js';
import { CANVAS_QUEUE, childId } from './ids.js';

/**
 * Canvas → flow plan.
 *
 * Tasks are leaves; every composite (and every task that has callbacks of its own) is one node, a job in the
 * canvas queue that BullMQ releases when its children are terminal. What can be known at publication is
 * published at once, in one tree: members of groups and headers at any depth, first steps of chains. What
 * depends on a value comes later, added by the node's own job as one more child of itself: the next step, the
 * body. A BullMQ job has one parent, so a tree can join but not fan out; this is how a fan-out after a step
 * is expressed without a second barrier.
 */
export interface CompileContext {
  /** The queue of a task that names none in its call. */
  readonly queueOf: (task: string) => string;
  /** Priority of a task that names none in its call. */
  readonly priorityOf: (task: string) => number | undefined;
  /** Name of the strategy of a chord that names none. */
  readonly recovery: string;
  /** Epoch milliseconds, for `eta` and for lengths of time. */
  readonly nowMs: number;
}

/** What a node gets from above. */
interface Inherited {
  readonly input?: InputRef;
  readonly options?: CallOptions;
  /** Of a leaf: `age` for the root of a canvas, `parent` below a node. */
  readonly retention: Retention;
  readonly redriven?: Redriven;
}

const ROOT: Inherited = { retention: 'age' };

/**
 * Compiles the root of a canvas.
 *
 * @param input value that stands in front of the arguments of the tasks that start the canvas
 * @param redriven of a callback that is released in a later generation
 */
export function compileCanvas(
  canvas: CanvasData,
  id: string,
  context: CompileContext,
  input?: InputRef,
  redriven?: Redriven,
): FlowPlan {
  const from = { ...(input ? { input } : {}), ...(redriven ? { redriven } : {}) };
  return compile(canvas, id, { ...from, retention: 'age' }, context);
}

/** Compiles a canvas that becomes a child of a running node: a step, or a body. */
export function compileChild(
  canvas: CanvasData,
  id: string,
  context: CompileContext,
  input: InputRef | undefined,
  options: CallOptions | undefined,
  redriven?: Redriven,
): FlowPlan {
  const from = {
    ...(input ? { input } : {}),
    ...(options ? { options } : {}),
    ...(redriven ? { redriven } : {}),
  };
  return compile(canvas, id, { ...from, retention: 'parent' }, context);
}

function compile(canvas: CanvasData, id: string, from: Inherited, context: CompileContext): FlowPlan {
  switch (canvas.kind) {
    case 'task':
      return hasCallbacks(canvas) ? taskNode(canvas, id, from, context) : leaf(canvas, id, from, context);
    case 'chain':
      return chainNode(canvas, id, from, context);
    case 'group':
      return groupNode(canvas, id, from, context);
    case 'chord':
      return chordNode(canvas, id, from, context);
  }
}

function leaf(signature: SignatureData, id: string, from: Inherited, context: CompileContext): FlowPlan {
  const options = merge(from.options, signature.options);
  const expires = options?.expiresInMs === undefined ? options?.expires : context.nowMs + options.expiresInMs;
  const envelope: TaskEnvelope = {
    v: 1,
    args: signature.args,
    ...(from.input && signature.immutable !== true ? { input: from.input } : {}),
    ...(signature.each === undefined ? {} : { each: signature.each }),
    ...(signature.settle === true ? { settle: true } : {}),
    ...pick(options, 'headers'),
    ...pick(options, 'softTimeLimitMs'),
    ...pick(options, 'timeLimitMs'),
    ...pick(options, 'maxRetries'),
    ...(expires === undefined ? {} : { expires }),
    ...pick(options, 'ignoreResult'),
    ...pick(options, 'once'),
    ...(from.redriven ? { redriven: from.redriven } : {}),
  };
  const delayMs =
    options?.eta === undefined ? options?.countdownMs : Math.max(0, options.eta - context.nowMs);
  const priority = options?.priority ?? context.priorityOf(signature.task);
  return tree({
    id,
    queue: options?.queue ?? signature.taskQueue ?? context.queueOf(signature.task),
    name: signature.task,
    data: envelope,
    retention: from.retention,
    ...(delayMs === undefined || delayMs === 0 ? {} : { delayMs }),
    ...(priority === undefined ? {} : { priority }),
  });
}

function taskNode(signature: SignatureData, id: string, from: Inherited, context: CompileContext): FlowPlan {
  const { links: _links, errbacks: _errbacks, ...bare } = signature;
  const child = leaf(bare, childId(id, 0), { ...from, retention: 'parent' }, context);
  return node(
    id,
    'task',
    { v: 1, node: 'task', ...callbacks(signature), firstQueue: child.job.queue },
    from,
    [child],
  );
}

function chainNode(chain: ChainData, id: string, from: Inherited, context: CompileContext): FlowPlan {
  const steps = flatten(chain.steps);
  const options = merge(from.options, chain.options);
  const [first, ...rest] = steps;
  if (first === undefined)
    throw new RangeError('a chain without steps cannot be compiled; validation refuses it');
  if (rest.length === 0 && !hasCallbacks(chain))
    return compile(first, id, { ...from, ...(options ? { options } : {}) }, context);
  const child = compile(first, childId(id, 0), below(from, options), context);
  return node(
    id,
    'chain',
    {
      v: 1,
      node: 'chain',
      size: steps.length,
      rest,
      ...callbacks(chain),
      ...later(options),
      firstQueue: child.job.queue,
    },
    from,
    [child],
  );
}

/** The node of a group or chord as the root of a canvas, without its members. */
export function compileNode(
  canvas: GroupData | ChordData,
  id: string,
  context: CompileContext,
  size: number,
): PlannedJob {
  return canvas.kind === 'group'
    ? groupJob(canvas, id, size, ROOT)
    : chordJob(canvas, id, merge(undefined, canvas.options), size, context, ROOT);
}

/** One member of a group or chord that is the root of a canvas. */
export function compileMember(
  canvas: GroupData | ChordData,
  id: string,
  index: number,
  member: CanvasData,
  context: CompileContext,
): FlowPlan {
  const from = below(ROOT, merge(undefined, canvas.options));
  return memberOf(canvas, compile(member, childId(id, index), from, context));
}

/** A plan as a member of a header that may be closed before its end. */
function memberOf(canvas: GroupData | ChordData, plan: FlowPlan): FlowPlan {
  const told = isJudged(canvas) ? reporting(plan) : plan;
  return canvas.kind === 'chord' && countsOutcomes(canvas.deadline) ? timed(told) : told;
}

/** The same for one that is added to a node. */
export function memberOfNode(node: GroupNode | ChordNode, plan: FlowPlan): FlowPlan {
  const told = node.budget === undefined ? plan : reporting(plan);
  return node.node === 'chord' && countsOutcomes(node.deadline) ? timed(told) : told;
}

/** A member whose failure its node hears of at once. */
export function reporting(member: FlowPlan): FlowPlan {
  return { ...member, job: { ...member.job, reports: true } };
}

/** A member whose end is noted, because a deadline counts from it. */
export function timed(member: FlowPlan): FlowPlan {
  const data = { ...member.job.data, timed: true } as PlannedJob['data'];
  return { ...member, job: { ...member.job, data } };
}

/** Whether a header is closed before its end when too much of it has failed. */
export function isJudged(canvas: GroupData | ChordData): boolean {
  return canvas.kind === 'group' ? canvas.failFast === true : canvas.budget !== undefined;
}

function groupNode(group: GroupData, id: string, from: Inherited, context: CompileContext): FlowPlan {
  const start = below(from, merge(from.options, group.options));
  const members = compileMembers(group, group.members, id, start, context);
  return tree(groupJob(group, id, members.length, from), members);
}

function groupJob(group: GroupData, id: string, size: number, from: Inherited): PlannedJob {
  const data: NodeEnvelope = {
    v: 1,
    node: 'group',
    size,
    ...(group.failFast === true ? { budget: FAIL_FAST } : {}),
    ...callbacks(group),
  };
  return nodeJob(id, 'group', data, from);
}

function chordNode(chord: ChordData, id: string, from: Inherited, context: CompileContext): FlowPlan {
  const options = merge(from.options, chord.options);
  const header = compileMembers(chord, chord.header, id, below(from, options), context);
  return tree(chordJob(chord, id, options, header.length, context, from), header);
}

function chordJob(
  chord: ChordData,
  id: string,
  options: CallOptions | undefined,
  size: number,
  context: CompileContext,
  from: Inherited,
): PlannedJob {
  // Seed 003 links the errback to the body; it is the chord's: once, whether header or body failed.
  const { errbacks: bodyErrbacks = [], ...body } = chord.body;
  const errbacks = [...(chord.errbacks ?? []), ...bodyErrbacks];
  const data: NodeEnvelope = {
    v: 1,
    node: 'chord',
    size,
    body: body as CanvasData,
    recovery: chord.recovery ?? context.recovery,
    ...(chord.budget === undefined ? {} : { budget: chord.budget }),
    ...(chord.deadline === undefined ? {} : { deadline: chord.deadline }),
    ...(chord.late === undefined ? {} : { late: chord.late }),
    ...(chord.links?.length ? { links: chord.links } : {}),
    ...(errbacks.length ? { errbacks } : {}),
    ...later(options),
  };
  const job = nodeJob(id, 'chord', data, from);
  return chord.deadline === undefined ? job : { ...job, timer: timerOf(id, chord.deadline, from) };
}

/** Whatever a deadline counts from happens after the dispatch: it is not due before. */
export function timerOf(
  node: string,
  { afterMs, from }: DeadlineData,
  chord: Pick<ChordNode, 'redriven'>,
): PlannedJob {
  const generation = generationOf(chord);
  return {
    id: childId(node, deadlineName(chord)),
    queue: CANVAS_QUEUE,
    name: 'deadline',
    data: { v: 1, node: 'deadline', afterMs, from, ...(generation === 0 ? {} : { generation }) },
    retention: 'parent',
    delayMs: afterMs,
  };
}

function compileMembers(
  canvas: GroupData | ChordData,
  members: readonly CanvasData[],
  id: string,
  from: Inherited,
  context: CompileContext,
): FlowPlan[] {
  return members.map((member, index) => memberOf(canvas, compile(member, childId(id, index), from, context)));
}

/** A chain in a chain is its steps, unless it has callbacks of its own: those need a node that knows its end. */
function flatten(steps: readonly CanvasData[]): CanvasData[] {
  return steps.flatMap((step) =>
    step.kind === 'chain' && !hasCallbacks(step) && step.options === undefined ? flatten(step.steps) : [step],
  );
}

function node(
  id: string,
  name: string,
  data: NodeEnvelope,
  from: Inherited,
  children: readonly FlowPlan[],
): FlowPlan {
  return tree(nodeJob(id, name, data, from), children);
}

/** What begins in a later generation says so; what was run again is above or before it, not below. */
function nodeJob(id: string, name: string, data: NodeEnvelope, { redriven }: Inherited): PlannedJob {
  const own = redriven && { redriven: { generation: redriven.generation, changed: [] } };
  return { id, queue: CANVAS_QUEUE, name, data: { ...data, ...own }, retention: 'canvas' };
}

function tree(job: PlannedJob, children: readonly FlowPlan[] = NO_CHILDREN): FlowPlan {
  return { job, children, size: children.reduce((sum, child) => sum + child.size, 1) };
}

const NO_CHILDREN: readonly FlowPlan[] = [];

export function hasCallbacks(canvas: CanvasData): boolean {
  return (canvas.links?.length ?? 0) + (canvas.errbacks?.length ?? 0) > 0;
}

function callbacks(canvas: CanvasData): Pick<NodeEnvelope, 'links' | 'errbacks'> {
  return {
    ...(canvas.links?.length ? { links: canvas.links } : {}),
    ...(canvas.errbacks?.length ? { errbacks: canvas.errbacks } : {}),
  };
}

/** What a node hands to the children that start with it. */
function below(from: Inherited, options: CallOptions | undefined): Inherited {
  return {
    ...(from.input ? { input: from.input } : {}),
    ...(options ? { options } : {}),
    ...(from.redriven ? { redriven: from.redriven } : {}),
    retention: 'parent',
  };
}

/** What a node hands to children that come later: the start of the canvas was delayed, not each step of it. */
function later(options: CallOptions | undefined): { inherit?: CallOptions } {
  if (options === undefined) return {};
  const { countdownMs: _countdown, eta: _eta, ...rest } = options;
  return Object.keys(rest).length === 0 ? {} : { inherit: rest };
}

/** A node's own options win over those from above; headers are merged. An id and a key belong to one node only. */
function merge(above: CallOptions | undefined, own: CallOptions | undefined): CallOptions | undefined {
  if (above === undefined && own === undefined) return undefined;
  const { taskId: _own, ...stated } = own ?? {};
  const inherited = withoutRivals(above ?? {}, stated);
  const headers =
    inherited.headers || stated.headers ? { headers: { ...inherited.headers, ...stated.headers } } : {};
  return { ...inherited, ...stated, ...headers };
}

/** Two ways of saying the same exclude each other: one's own `countdown` is not joined by an `eta` from above. */
function withoutRivals({ taskId: _id, once: _once, ...above }: CallOptions, own: CallOptions): CallOptions {
  const { countdownMs, eta, expires, expiresInMs, ...rest } = above;
  const start = own.countdownMs === undefined && own.eta === undefined ? { countdownMs, eta } : {};
  const end = own.expires === undefined && own.expiresInMs === undefined ? { expires, expiresInMs } : {};
  return Object.fromEntries(
    Object.entries({ ...rest, ...start, ...end }).filter(([, value]) => value !== undefined),
  );
}

function pick<K extends keyof CallOptions>(
  options: CallOptions | undefined,
  key: K,
): Pick<CallOptions, K> | object {
  return options?.[key] === undefined ? {} : { [key]: options[key] };
}
