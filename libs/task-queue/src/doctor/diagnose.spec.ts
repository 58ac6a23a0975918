import type { JobCondition, JobPlace } from '../backend/examination.js';
import type { NodeRecord } from '../backend/ledger.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { diagnose, type Patient, type Surroundings } from './diagnose.js';
import { told } from './words.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const SOON = '2026-01-01T00:01:00.000Z';
const worker = {
  id: 'w',
  host: 'h',
  pid: 7,
  queues: ['q', '_canvas'],
  tasks: ['t'],
  beatAgoMs: 0,
  isSilent: false,
};
const around: Surroundings = { nowMs: NOW, workers: [worker], maxRetriesOf: () => 3 };

function job(place: JobPlace, over: Partial<JobCondition> = {}): JobCondition {
  const counts = { attemptsMade: 0, activations: 0, timesLost: 0, priority: 0, pending: 0 };
  const atMs = Date.parse(SOON);
  return { queue: 'q', id: '0~a.1', place, name: 't', isPaused: false, ...counts, atMs, ...over };
}
function node(place: JobPlace, over: Partial<JobCondition> = {}): JobCondition {
  const data = JSON.stringify({
    v: 1,
    node: 'chord',
    size: 3,
    body: { kind: 'task', task: 'b', args: [] },
    recovery: 'ErrbackOnly',
  });
  return job(place, { queue: '_canvas', id: '0~a', name: 'chord', data, ...over });
}
const record = (over: Partial<NodeRecord> = {}): NodeRecord => ({
  stage: undefined,
  size: undefined,
  values: 1,
  failures: 1,
  pending: 0,
  dispatch: undefined,
  failure: undefined,
  decision: undefined,
  revoked: false,
  closing: undefined,
  parked: undefined,
  budget: undefined,
  isDue: false,
  isHeld: false,
  isLateKept: false,
  ...over,
});
const task = (envelope: object): Partial<JobCondition> => ({
  data: JSON.stringify({ v: 1, args: [], ...envelope }),
});
const failed = { reason: 'error' } as TaskFailure;
const sentinel = job('delayed', { queue: '_canvas', id: '0~a.sentinel', name: 'sentinel' });

const cases: readonly [about: string, patient: Partial<Patient>, ...expected: object[]][] = [
  ['that has gone and is waited for', { condition: job('gone'), isAwaited: true }, { kind: 'vanished' }],
  ['that has gone and nobody waits for', { condition: job('gone') }, { kind: 'unknown' }],
  ['in none of its lists', { condition: job('nowhere') }, { kind: 'stranded' }],
  ['that has ended', { condition: job('completed') }],
  ['that has failed', { condition: job('failed', { failedReason: 'x' }) }],
  ['that has ended unheard', { condition: job('completed'), isAwaited: true }, { kind: 'unheard' }],
  ['that has failed unheard', { condition: job('failed'), isAwaited: true }, { kind: 'unheard' }],
  ['in a paused queue', { condition: job('waiting', { isPaused: true }) }, { kind: 'queue-paused' }],
  ['in a queue of nobody', { condition: job('waiting', { queue: 'p' }) }, { kind: 'no-worker' }],
  ['that nobody knows', { condition: job('waiting', { name: 'u' }) }, { kind: 'task-unknown', workers: 1 }],
  [
    'of a hook',
    { condition: job('waiting', { name: 'u', data: '{"hook":"failure"}' }) },
    { kind: 'waiting' },
  ],
  [
    'behind others',
    { condition: job('waiting', { ahead: 4, priority: 2 }) },
    { kind: 'waiting', ahead: 4, priority: 2 },
  ],
  ['behind very many', { condition: job('waiting') }, { kind: 'waiting', priority: 0 }],
  ['with a countdown', { condition: job('delayed') }, { kind: 'delayed', until: SOON }],
  [
    'that is due and nobody takes',
    { condition: job('delayed', { queue: 'p', atMs: NOW - 1 }) },
    { kind: 'delayed' },
    { kind: 'no-worker' },
  ],
  [
    'that is tried again',
    {
      condition: job('delayed', {
        attemptsMade: 2,
        ...task({ maxRetries: 5, attempts: [{ error: { name: 'E', message: 'm' } }] }),
      }),
    },
    { kind: 'retrying', retry: 2, of: 5, error: { name: 'E', message: 'm' } },
  ],
  [
    'that is tried again as its policy says',
    { condition: job('delayed', { attemptsMade: 1, failedReason: 'm', ...task({}) }) },
    { kind: 'retrying', retry: 1, of: 3, error: { name: 'Error', message: 'm' } },
  ],
  [
    'in the line of its limit',
    { condition: job('delayed', task({ parked: { times: 1, slot: 1, attempt: 0 } })) },
    { kind: 'rate-limited', until: SOON },
  ],
  [
    'that a breaker holds back',
    { condition: job('delayed', task({ parked: { times: 1, attempt: 0, breaker: 'api' } })) },
    { kind: 'breaker-open', breaker: 'api', until: SOON },
  ],
  [
    'over its retry budget',
    { condition: job('delayed', task({ parked: { times: 1, attempt: 0, budget: 'queue:q' } })) },
    { kind: 'over-retry-budget', budget: 'queue:q', until: SOON },
  ],
  [
    'whose limit is behind it',
    {
      condition: job('delayed', { attemptsMade: 1, ...task({ parked: { times: 1, slot: 1, attempt: 0 } }) }),
    },
    { kind: 'retrying' },
  ],
  [
    'whose key another one has',
    { condition: job('delayed', task({ waitingSince: NOW })) },
    { kind: 'key-taken', since: '2026-01-01T00:00:00.000Z' },
  ],
  [
    'that runs',
    {
      condition: job('active', {
        lockMs: 5,
        worker: 'h:7',
        startedAtMs: NOW,
        activations: 3,
        ...task({ parked: { times: 1 } }),
      }),
    },
    { kind: 'running', worker: 'h:7', isWorkerAlive: true, attempt: 2, lockMs: 5 },
  ],
  [
    'whose worker is silent',
    { condition: job('active', { lockMs: 5, worker: 'h:8' }) },
    { kind: 'running', isWorkerAlive: false },
  ],
  [
    'whose lock is gone',
    { condition: job('active', { worker: 'h:8', timesLost: 1 }) },
    { kind: 'stalled', timesLost: 1, isServed: true },
  ],
  [
    'whose lock is gone, and nobody serves its queue',
    { condition: job('active', { queue: 'p' }) },
    { kind: 'stalled', isServed: false },
    { kind: 'no-worker' },
  ],
  [
    'that waits for its children',
    { condition: node('waiting-children', { pending: 2 }), record: record({ pending: 2 }), shown: 1 },
    { kind: 'waiting-for-children', pending: 2, shown: 1, succeeded: 1, failed: 1 },
  ],
  [
    'that is parked',
    {
      condition: node('waiting-children', { pending: 1 }),
      record: record({ failures: 2, pending: 1, isHeld: true, parked: { why: '2 of 3 failed', atMs: NOW } }),
    },
    { kind: 'budget-breached', why: '2 of 3 failed' },
  ],
  [
    'of which members were taken out of their queues',
    {
      condition: node('waiting-children', { pending: 2 }),
      record: record({ failures: 0, pending: 2, isHeld: true }),
    },
    { kind: 'removed', members: 1, ids: [] },
    { kind: 'waiting-for-children', pending: 1 },
  ],
  [
    'without children that nobody told',
    { condition: node('waiting-children'), record: record() },
    { kind: 'unreleased' },
  ],
  [
    'whose place a canvas has taken',
    {
      condition: job('waiting-children', {
        pending: 1,
        ...task({ replaced: { by: { queue: '_canvas', id: 'x' } } }),
      }),
    },
    { kind: 'replaced', by: 'x' },
  ],
  [
    'that is being published',
    {
      condition: node('waiting-children', { pending: 2 }),
      record: record({ pending: 2, dispatch: { state: 'open', dispatched: 2 } }),
      sentinel,
      shown: 1,
    },
    { kind: 'dispatching', dispatched: 2, total: 3, leaseUntil: SOON },
    { kind: 'waiting-for-children', pending: 1 },
  ],
  [
    'whose members are being put back',
    {
      condition: node('waiting-children', { pending: 2 }),
      record: record({ pending: 2, setAside: 5 }),
      sentinel,
      shown: 1,
    },
    { kind: 'redriving', remaining: 5, leaseUntil: SOON },
    { kind: 'waiting-for-children', pending: 1 },
  ],
  [
    'whose lease has vanished',
    {
      condition: node('waiting-children', { pending: 1 }),
      record: record({ pending: 1, dispatch: { state: 'sealed', dispatched: 3 } }),
      sentinel: { ...sentinel, place: 'gone' },
    },
    { kind: 'vanished', id: '0~a.sentinel' },
  ],
  [
    'that is about to release its body',
    { condition: node('waiting', { ahead: 0 }), record: record() },
    { kind: 'waiting', then: 'its body is published, or what its recovery decides' },
  ],
  [
    'whose outcome is stored',
    { condition: node('active', { lockMs: 1 }), record: record({ failure: failed }) },
    { kind: 'settling', outcome: 'FAILURE' },
    { kind: 'running' },
  ],
  [
    'that its queue has failed',
    { condition: node('failed', { failedReason: 'child x failed' }), record: record() },
    { kind: 'unsettled', reason: 'child x failed' },
  ],
  ['that has failed and been recorded', { condition: node('failed'), record: record({ failure: failed }) }],
  [
    'that has failed because it is none of ours',
    { condition: node('failed', { data: '{"mine":1}' }), record: record() },
  ],
  ['with data that is no JSON', { condition: job('delayed', { data: 'x' }) }, { kind: 'delayed' }],
];

it('takes a worker that is silent for none', () => {
  const silent = { ...around, workers: [{ ...worker, beatAgoMs: 6_000, isSilent: true }] };
  const of = (condition: JobCondition) =>
    diagnose({ condition, isAwaited: false, shown: 0 }, silent).map((fact) => told(fact, NOW));
  expect(of(job('active', { lockMs: 5, worker: 'h:7' }))).toMatchObject([
    { kind: 'running', isWorkerAlive: false },
  ]);
  const [stalled, unserved] = of(job('active', { worker: 'h:7' }));
  expect(stalled?.remedy).toBe('The first worker of the queue q that is started takes it up.');
  expect(unserved?.kind).toBe('no-worker');
  expect(of(job('waiting')).map(({ kind }) => kind)).toEqual(['no-worker']);
});

it.each(cases)('of a job %s', (_about, patient, ...expected) => {
  const facts = diagnose({ condition: job('gone'), isAwaited: false, shown: 0, ...patient }, around);
  expect(facts).toHaveLength(expected.length);
  expect(facts).toMatchObject(expected);
  for (const obstacle of facts.map((fact) => told(fact, NOW))) {
    expect(obstacle.text).toMatch(/^\S.*\.$/);
    expect(`${obstacle.text} ${obstacle.remedy}`).not.toMatch(/undefined|NaN|\.\.|, behind/);
  }
});
