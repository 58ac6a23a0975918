import type { Answer } from '../backend/inspection.js';
import type { HostState } from '../backend/handler-host.js';
import type { FetchLoop } from '../backend/workers.js';
import type { WorkerState } from '../engine/worker-runtime.js';
import type { TaskQueueRole } from '../options/task-queue-options.js';
import { inWords } from '../primitives/duration.js';
import type { ResolvedHealthOptions } from './resolve-health-options.js';
import { exceeds, type Finding, type Verdict, verdictOf } from './verdict.js';

/**
 * What the fetching from a queue does: `moving`; `busy`, with every slot taken; `stuck`, although it has a free slot and
 * Redis answers; `paused`; `ended`, it will not fetch again.
 */
export type FetchState = 'moving' | 'busy' | 'stuck' | 'paused' | 'ended';

/** How this application serves one queue; with several shards, all of them together. */
export interface ServedQueue {
  readonly state: FetchState;
  /** Handlers that run now. */
  readonly running: number;
  readonly concurrency: number;
  /** How long ago the fetch loop last did anything, in milliseconds. */
  readonly movedAgoMs: number;
}

/** What the workers of this application do. */
export interface WorkersDetails {
  readonly role: TaskQueueRole;
  /** `idle`: not started; `stopped`: takes nothing more, the application is shutting down. */
  readonly state: WorkerState;
  /** The longest time that the event loop was blocked within the last 10 seconds, in milliseconds. */
  readonly eventLoopLagMs: number;
  /** Handlers of this process that were told to end and do not. */
  readonly stuckHandlers: number;
  /** Names of the tasks that are served; none of a producer. */
  readonly tasks: readonly string[];
  /** By queue, of those that have processes of their own. */
  readonly pools: Readonly<Record<string, HostState>>;
  /** By queue; `_canvas` holds the steps of canvases. */
  readonly queues: Readonly<Record<string, ServedQueue>>;
}

/** What was seen of the workers of this application. */
export interface WorkersSeen {
  readonly role: TaskQueueRole;
  readonly state: WorkerState;
  readonly lagMs: number;
  readonly tasks: readonly string[];
  readonly loops: readonly FetchLoop[];
  /** By queue, of those that have processes of their own. */
  readonly pools: ReadonlyMap<string, HostState>;
  /** Handlers that do not end although they were told to. */
  readonly stuck: number;
  /** undefined when Redis does not answer: nobody can tell then whether a loop that waits would move. */
  readonly answer: Answer | undefined;
}

type Limits = ResolvedHealthOptions['workers'];

/** Judges whether the workers of an application do what they should. */
export function judgeWorkers(seen: WorkersSeen, limits: Limits): Verdict<WorkersDetails> {
  const findings = [
    ...judgeServing(seen, limits),
    ...judgePools(seen),
    ...judgeStuck(seen),
    ...judgeLag(seen, limits),
  ];
  return verdictOf(findings, detailsOf(seen, limits));
}

/**
 * Judges whether a restart would help: a fetch loop that is dead while Redis answers, or an event loop that is blocked.
 * A Redis that is away is no reason to end a process.
 */
export function judgeLiveness(seen: WorkersSeen, limits: Limits): Verdict<WorkersDetails> {
  const details = detailsOf(seen, limits);
  const dead = Object.entries(details.queues).filter(
    ([, { state }]) => state === 'stuck' || state === 'ended',
  );
  const findings = [
    ...dead.map(([queue, served]) => judgeQueue(queue, served)).filter((finding) => finding !== undefined),
    ...judgeLag(seen, limits).filter(({ status }) => status === 'down'),
  ];
  return verdictOf(findings, details);
}

/** Whether a loop stands still for no reason that is known. */
export function isStuck(loop: FetchLoop, answer: Answer | undefined, { stuckAfterMs }: Limits): boolean {
  if (answer === undefined || loop.state !== 'running') return false;
  return Math.min(loop.overdueMs, answer.answeringForMs) > stuckAfterMs;
}

function judgeServing(seen: WorkersSeen, limits: Limits): Finding[] {
  switch (seen.state) {
    case 'idle':
      return seen.role === 'producer' ? [] : [{ status: 'down', reason: 'the workers have not started' }];
    case 'stopped':
      return [{ status: 'down', reason: 'the application is shutting down' }];
    case 'serving': {
      const queues = Object.entries(detailsOf(seen, limits).queues);
      const findings = queues.map(([queue, served]) => judgeQueue(queue, served));
      if (seen.answer === undefined) {
        findings.push({
          status: 'degraded',
          reason: 'Redis does not answer, so it cannot be told whether tasks are fetched',
        });
      }
      return findings.filter((finding) => finding !== undefined);
    }
  }
}

function judgeQueue(queue: string, { state, movedAgoMs }: ServedQueue): Finding | undefined {
  switch (state) {
    case 'moving':
    case 'busy':
      return undefined;
    case 'stuck':
      return {
        status: 'down',
        reason: `queue ${queue}: nothing has been fetched or looked for since ${inWords(movedAgoMs)}, although Redis answers`,
      };
    case 'paused':
      return { status: 'down', reason: `queue ${queue}: its worker is paused` };
    case 'ended':
      return { status: 'down', reason: `queue ${queue}: its worker has ended` };
  }
}

function judgePools({ pools }: WorkersSeen): Finding[] {
  return [...pools].flatMap(([queue, { size, ready, problem }]): Finding[] => {
    if (ready > 0 && (ready >= size || problem === undefined)) return [];
    const why = problem === undefined ? '' : `: ${problem}`;
    const reason = `queue ${queue}: ${ready} of the ${size} processes of its pool are ready${why}`;
    return [{ status: ready === 0 ? 'down' : 'degraded', reason }];
  });
}

function judgeStuck({ stuck }: WorkersSeen): Finding[] {
  if (stuck === 0) return [];
  const reason = `${stuck} ${stuck === 1 ? 'handler does' : 'handlers do'} not end, although told to`;
  return [{ status: 'degraded', reason }];
}

function judgeLag({ lagMs }: WorkersSeen, { eventLoopLagMs }: Limits): Finding[] {
  return exceeds(
    lagMs,
    eventLoopLagMs,
    (limit) => `the event loop was blocked for ${inWords(lagMs)}, ${inWords(limit)} or more`,
  );
}

function detailsOf(seen: WorkersSeen, limits: Limits): WorkersDetails {
  const queues: Record<string, ServedQueue> = {};
  for (const loop of seen.loops) {
    const { queue, running, concurrency, movedAgoMs } = loop;
    const served = { state: stateOf(loop, seen.answer, limits), running, concurrency, movedAgoMs };
    const known = queues[queue];
    queues[queue] = known ? together(known, served) : served;
  }
  const rounded = Object.entries(queues).map(([queue, served]) => [
    queue,
    { ...served, movedAgoMs: Math.round(served.movedAgoMs) },
  ]);
  return {
    role: seen.role,
    state: seen.state,
    eventLoopLagMs: Math.round(seen.lagMs),
    stuckHandlers: seen.stuck,
    tasks: seen.tasks,
    pools: Object.fromEntries(seen.pools),
    queues: Object.fromEntries(rounded) as WorkersDetails['queues'],
  };
}

function stateOf(loop: FetchLoop, answer: Answer | undefined, limits: Limits): FetchState {
  if (loop.state !== 'running') return loop.state;
  if (loop.running >= loop.concurrency) return 'busy';
  return isStuck(loop, answer, limits) ? 'stuck' : 'moving';
}

/** The worse one counts. */
const ORDER: readonly FetchState[] = ['moving', 'busy', 'paused', 'stuck', 'ended'];

function together(a: ServedQueue, b: ServedQueue): ServedQueue {
  return {
    state: ORDER.indexOf(a.state) > ORDER.indexOf(b.state) ? a.state : b.state,
    running: a.running + b.running,
    concurrency: a.concurrency + b.concurrency,
    movedAgoMs: Math.max(a.movedAgoMs, b.movedAgoMs),
  };
}
