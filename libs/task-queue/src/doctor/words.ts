import { CANVAS_QUEUE } from '../flow/ids.js';
import { inWords } from '../primitives/duration.js';
import { type Fact, isMendable, type Obstacle } from './obstacle.js';

const RECONCILE = 'workflows.reconcile(id) mends it, and so does a worker of its own accord.';

/** An obstacle with its words. */
export function told(fact: Fact, nowMs: number): Obstacle {
  const [text, remedy] = wordsOf(fact, nowMs);
  return { ...fact, text: `${labelOf(fact)} ${text}.`, remedy, mendable: isMendable(fact) };
}

function labelOf({ id, name, queue }: Fact): string {
  const what = name === '' ? id : `${name} ${id}`;
  return queue === '' || queue === '_canvas' ? what : `${what} in queue ${queue}`;
}

function wordsOf(fact: Fact, nowMs: number): readonly [text: string, remedy: string] {
  const left = (until: string): string => inWords(Math.max(0, Date.parse(until) - nowMs));
  switch (fact.kind) {
    case 'queue-paused':
      return ['waits, and its queue is paused', `Resume the queue ${fact.queue}.`];
    case 'no-worker':
      return [
        'waits, and no worker that is alive takes from its queue',
        `Start a worker application whose tasks or options name the queue ${fact.queue}.`,
      ];
    case 'task-unknown':
      return [
        `waits, and none of the ${count(fact.workers, 'worker')} of its queue knows the task; it would be failed as unknown`,
        `Start a worker that has ${fact.name} before it is taken, or keep other applications off the queue ${fact.queue}.`,
      ];
    case 'waiting':
      return [waitingWords(fact), fact.ahead === 0 ? '' : 'More workers, or more concurrency, would help.'];
    case 'delayed':
      return fact.name === 'deadline' && fact.queue === CANVAS_QUEUE
        ? [`comes up at ${fact.until} at the earliest, in ${left(fact.until)}`, '']
        : [`is delayed until ${fact.until}, in ${left(fact.until)}`, ''];
    case 'retrying': {
      const of = fact.of === undefined ? '' : ` of ${fact.of === Infinity ? 'any number' : fact.of}`;
      const why = fact.error === undefined ? '' : ` after ${fact.error.name}: ${fact.error.message}`;
      return [`waits for its retry ${fact.retry}${of} at ${fact.until}, in ${left(fact.until)}${why}`, ''];
    }
    case 'rate-limited':
      return [
        `is held back by its rate limit until ${fact.until}, in ${left(fact.until)}`,
        'A higher rate lets it begin sooner.',
      ];
    case 'breaker-open':
      return [
        `is kept from its resource by the breaker ${fact.breaker}, and asks again at ${fact.until}, in ${left(fact.until)}`,
        `It goes on when the resource works again; workflows.breakers.reset('${fact.breaker}') says that it does.`,
      ];
    case 'over-retry-budget':
      return [
        `waits because too many of the calls are retries, by the budget ${fact.budget}, and asks again at ${fact.until}, in ${left(fact.until)}`,
        'A larger share or floor lets more of them through.',
      ];
    case 'key-taken':
      return [
        `waits since ${fact.since} for another task that has its idempotency key, and looks again in ${left(fact.until)}`,
        'It goes on when that task has ended.',
      ];
    case 'running':
      return runningWords(fact, nowMs);
    case 'stalled':
      return [
        `was run by ${fact.worker ?? 'a worker'}${since(fact.since, nowMs)}, attempt ${fact.attempt}, and that worker's lock ` +
          `has run out${fact.timesLost === 0 ? '' : ` (lost ${count(fact.timesLost, 'time')} before)`}`,
        fact.isServed
          ? 'A worker of its queue takes it up within worker.stalledInterval.'
          : `The first worker of the queue ${fact.queue} that is started takes it up.`,
      ];
    case 'waiting-for-children':
      return [childrenWords(fact), ''];
    case 'dispatching': {
      const of = fact.total === undefined ? '' : ` of ${fact.total}`;
      const lease =
        fact.leaseUntil === undefined
          ? ''
          : `; its producer has until ${fact.leaseUntil} to show that it is alive`;
      return [
        `is still being published, ${fact.dispatched}${of} members are there${lease}`,
        'If the producer has died, publish it again under the same taskId to go on; without that it fails when the lease runs out.',
      ];
    }
    case 'redriving': {
      const lease =
        fact.leaseUntil === undefined
          ? ''
          : `; who redrives it has until ${fact.leaseUntil} to show that he is alive`;
      return [
        `is being redriven, ${fact.remaining} of its members are still to be put back${lease}`,
        'If its caller has died, workflows.redrive(id) goes on; without that those count as failed when the lease runs out.',
      ];
    }
    case 'budget-breached':
      return [
        `is parked since ${fact.since}: ${fact.why}`,
        'workflows.setBudget(id, …) lets it go on; workflows.result(id).revoke() ends it.',
      ];
    case 'replaced':
      return [`waits for the canvas ${fact.by}, which has taken its place`, ''];
    case 'removed':
      return fact.members === undefined
        ? ['was taken out of its queue by hand, and counts as failed', '']
        : [
            `has lost ${count(fact.members, 'member')}${named(fact)}, revoked or taken out of the queue by hand, which count as failed`,
            '',
          ];
    case 'not-published':
      return [`is published by ${fact.by} when what comes before it has ended`, ''];
    case 'settling':
      return [`has come to ${fact.outcome}, and its callbacks are being released`, ''];
    case 'vanished':
      return ['is waited for, but nothing is stored about it: evicted, or deleted past its queue', RECONCILE];
    case 'stranded':
      return ['is stored, but in none of the lists of its queue, so nobody will ever take it', RECONCILE];
    case 'unheard':
      return ['has ended, and what waits for it has not heard of it', RECONCILE];
    case 'unreleased':
      return ['waits for its children, of which none is pending', RECONCILE];
    case 'unsettled':
      return [
        `was failed by its queue (${fact.reason}), without a record and without its callbacks`,
        RECONCILE,
      ];
    case 'unknown':
      return [
        'is not known: it was never published, or has expired, or was forgotten',
        'Look whether the id and the prefix are right.',
      ];
  }
}

function waitingWords({ ahead, priority, then }: Extract<Fact, { kind: 'waiting' }>): string {
  const where = priority === 0 ? '' : ` at priority ${priority}`;
  const behind =
    ahead === undefined
      ? 'behind 10,000 or more others'
      : ahead === 0
        ? 'and is the next one'
        : `behind ${count(ahead, 'other')}`;
  const follows = then === undefined ? '' : `; when it is started, ${then}`;
  return `waits in line${where}, ${behind}${follows}`.replace(', behind', ' behind');
}

function runningWords(fact: Extract<Fact, { kind: 'running' }>, nowMs: number): readonly [string, string] {
  const by = fact.worker ?? 'a worker';
  const lock = Number.isFinite(fact.lockMs) ? `, with a lock that holds for ${inWords(fact.lockMs)}` : '';
  const text = `is run by ${by}${since(fact.since, nowMs)}, attempt ${fact.attempt}${lock}`;
  return fact.isWorkerAlive === false
    ? [
        `${text}, but that worker gives no sign of life`,
        'Another worker of its queue takes it up when the lock has run out, if one is alive.',
      ]
    : [text, ''];
}

function childrenWords(fact: Extract<Fact, { kind: 'waiting-for-children' }>): string {
  const { pending, shown, succeeded, failed } = fact;
  const done = `${succeeded} succeeded, ${failed} failed`;
  const rest = pending > shown ? `, of which ${shown} are shown here` : '';
  return `waits for ${count(pending, 'child', 'children')}${rest} (${done})`;
}

function named({ members = 0, ids = [] }: Extract<Fact, { kind: 'removed' }>): string {
  if (ids.length === 0) return '';
  return ` (${ids.join(', ')}${members > ids.length ? ` and ${members - ids.length} more` : ''})`;
}

function since(at: string | undefined, nowMs: number): string {
  if (at === undefined) return '';
  return ` since ${at} (${inWords(Math.max(0, nowMs - Date.parse(at)))})`;
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
