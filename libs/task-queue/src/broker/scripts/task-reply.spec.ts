import type { ChordDecisionRecord } from '../../chords/decision-record.js';
import type { TaskFailure } from '../../failure/task-failure.js';
import type { NodeEnvelope } from '../../flow/envelope.js';
import {
  failureFromReason,
  failureOfMissing,
  failureOfRevoked,
  failureOfSkipped,
  snapshotOf,
  type TaskSnapshot,
} from '../../results/task-snapshot.js';
import { parseReply } from './task-reply.js';

const ID = '0~abc.1';
const failure: TaskFailure = {
  request: { id: ID, name: 't', args: [], queue: 'q', attempt: 1, workflowId: '0~abc', position: '1' },
  error: { name: 'RangeError', message: 'boom' },
  reason: 'error',
  at: '2026-01-01T00:00:00.000Z',
};
const revoked: TaskFailure = { ...failure, reason: 'revoked' };
const decision = (next: ChordDecisionRecord['next']): ChordDecisionRecord => ({
  strategy: 'S',
  failed: 1,
  size: 3,
  next,
});
const body = { kind: 'task', task: 'b', args: [] } as const;

interface Fields {
  record?: TaskFailure;
  decision?: ChordDecisionRecord;
  place?: string;
  timestamp?: number;
  processedOn?: number;
  finishedOn?: number;
  returnvalue?: string;
  failedReason?: string;
  attemptsMade?: number;
  progress?: string;
  node?: NodeEnvelope;
  values?: number;
  failures?: number;
  pending?: number;
  stage?: object;
  size?: number;
  dispatched?: number;
  dispatchEnd?: string;
  ranOut?: boolean;
  child?: 'value' | 'failure';
}

/** The flat list that the script answers for a job. */
const jobReply = (fields: Fields): (string | number | null)[] => [
  'job',
  fields.record ? JSON.stringify(fields.record) : null,
  fields.decision ? JSON.stringify(fields.decision) : null,
  fields.node ? '_canvas' : 'q',
  fields.place ?? 'waiting',
  fields.node?.node ?? 't',
  ...[fields.timestamp ?? 5, fields.processedOn, fields.finishedOn].map((time) =>
    time === undefined ? null : String(time),
  ),
  fields.returnvalue ?? null,
  fields.failedReason ?? null,
  String(fields.attemptsMade ?? 0),
  '1',
  fields.progress ?? null,
  ...(fields.node
    ? [
        JSON.stringify(fields.node),
        fields.values ?? 0,
        fields.failures ?? 0,
        fields.pending ?? 0,
        fields.stage ? JSON.stringify(fields.stage) : null,
        fields.size === undefined ? null : String(fields.size),
        fields.dispatched === undefined ? null : String(fields.dispatched),
        fields.dispatchEnd ?? null,
        fields.ranOut ? 1 : 0,
        fields.child === 'value' ? 1 : 0,
        fields.child === 'failure' ? 1 : 0,
      ]
    : []),
];

function read(flat: (string | number | null)[]): TaskSnapshot {
  const reply = parseReply(flat);
  if (reply.source !== 'job' && reply.source !== 'value' && reply.source !== 'failed')
    throw new Error(reply.source);
  return snapshotOf(ID, reply);
}
const job = (fields: Fields): TaskSnapshot => read(jobReply(fields));

describe('a task', () => {
  it.each<[what: string, fields: Fields, snapshot: Partial<TaskSnapshot>]>([
    ['waits', {}, { state: 'PENDING', retries: 0 }],
    ['is delayed', { place: 'delayed' }, { state: 'PENDING' }],
    ['runs', { place: 'active', processedOn: 7 }, { state: 'STARTED', startedAt: 7 }],
    ['waits for another attempt', { place: 'delayed', attemptsMade: 2 }, { state: 'RETRY', retries: 2 }],
    ['runs again', { place: 'active', attemptsMade: 2 }, { state: 'STARTED', retries: 2 }],
    [
      'returned',
      { place: 'completed', returnvalue: '{"a":1}', attemptsMade: 1, processedOn: 7, finishedOn: 9 },
      { state: 'SUCCESS', value: { a: 1 }, retries: 0, publishedAt: 5, startedAt: 7, finishedAt: 9 },
    ],
    [
      'returned nothing',
      { place: 'completed', returnvalue: 'null', finishedOn: 9, attemptsMade: 1 },
      { state: 'SUCCESS', value: null },
    ],
    [
      'returned after retries',
      { place: 'completed', finishedOn: 9, attemptsMade: 3 },
      { state: 'SUCCESS', retries: 2 },
    ],
    [
      'failed',
      { place: 'failed', record: failure, failedReason: 'x', finishedOn: 9, attemptsMade: 1 },
      { state: 'FAILURE', failure },
    ],
    [
      'was revoked',
      { place: 'failed', record: revoked, finishedOn: 9 },
      { state: 'REVOKED', failure: revoked },
    ],
    [
      'has progress',
      { place: 'active', progress: '{"done":3}' },
      { state: 'STARTED', progress: { done: 3 } },
    ],
  ])('%s', (_what, fields, snapshot) => {
    expect(job(fields)).toMatchObject({ id: ID, name: 't', queue: 'q', ...snapshot });
  });

  it('the failure of an attempt that is tried again is none yet', () => {
    const snapshot = job({ place: 'delayed', attemptsMade: 1, record: failure });
    expect(snapshot.state).toBe('RETRY');
    expect(snapshot.failure).toBeUndefined();
  });

  it('what is absent is left out', () => {
    expect(Object.keys(job({})).sort()).toEqual(['id', 'name', 'publishedAt', 'queue', 'retries', 'state']);
  });

  it.each([
    ['job stalled more than allowable limit', 'worker-lost', 'WorkerLostError'],
    ['job started more than allowable limit', 'worker-lost', 'WorkerLostError'],
    ['failed by hand', 'error', 'Error'],
  ])('that BullMQ failed with %j says what is known', (failedReason, reason, name) => {
    expect(job({ place: 'failed', failedReason }).failure).toMatchObject({
      reason,
      error: { name, message: failedReason },
      request: { id: ID, name: 't', queue: 'q', workflowId: '0~abc', position: '1', attempt: 0 },
    });
  });
});

describe('a task whose node remembers it', () => {
  it.each<[what: string, flat: (string | number | null)[], snapshot: Partial<TaskSnapshot>]>([
    ['a value', ['value', null, null, 'q', '[1,2]'], { state: 'SUCCESS', value: [1, 2], queue: 'q' }],
    [
      'a failure with its record',
      ['failed', JSON.stringify(failure), null, 'q', 'RangeError: boom'],
      { state: 'FAILURE', failure },
    ],
    ['a revocation', ['failed', JSON.stringify(revoked), null, 'q', 'x'], { state: 'REVOKED' }],
    [
      'a recovered chord',
      ['value', null, JSON.stringify(decision({ run: 'callback', args: [1] })), '_canvas', '1'],
      { state: 'SUCCESS', recovered: { strategy: 'S', failed: 1, size: 3 } },
    ],
  ])('%s', (_what, flat, snapshot) => {
    expect(read(flat)).toMatchObject({ id: ID, ...snapshot });
  });

  it('a failure without a record says what is known', () => {
    expect(read(['failed', null, null, 'q', 'gone']).failure).toMatchObject({
      error: { message: 'gone' },
      reason: 'error',
    });
  });
});

describe('a node', () => {
  const group: NodeEnvelope = { v: 1, node: 'group', size: 5 };
  const chord: NodeEnvelope = { v: 1, node: 'chord', size: 3, body, recovery: 'S' };
  const chain: NodeEnvelope = { v: 1, node: 'chain', size: 3, rest: [body, body] };
  const task: NodeEnvelope = { v: 1, node: 'task' };

  it.each<[what: string, fields: Fields, snapshot: Partial<TaskSnapshot>]>([
    [
      'nothing has ended',
      { node: group, pending: 5, place: 'waiting-children' },
      { state: 'PENDING', counts: { size: 5, succeeded: 0, failed: 0, pending: 5 } },
    ],
    [
      'some have ended',
      { node: group, values: 2, failures: 1, pending: 2, place: 'waiting-children' },
      { state: 'STARTED', counts: { size: 5, succeeded: 2, failed: 1, pending: 2 } },
    ],
    [
      'has got more members than it was published with',
      { node: group, size: 6, values: 2, pending: 4, place: 'waiting-children' },
      { state: 'STARTED', counts: { size: 6, succeeded: 2, failed: 0, pending: 4 } },
    ],
    ['is being joined', { node: group, place: 'active' }, { state: 'STARTED' }],
    [
      'has failed, and releases its errbacks',
      { node: group, values: 4, failures: 1, place: 'active', record: failure },
      { state: 'FAILURE', failure },
    ],
    [
      'has failed',
      { node: group, values: 4, failures: 1, place: 'failed', record: failure, finishedOn: 9 },
      { state: 'FAILURE', finishedAt: 9 },
    ],
    [
      'has ended',
      { node: group, values: 5, place: 'completed', returnvalue: '[]', finishedOn: 9 },
      { state: 'SUCCESS', value: [], counts: { size: 5, succeeded: 5, failed: 0, pending: 0 } },
    ],
    [
      'a chord before its body: only members are counted',
      { node: chord, values: 2, failures: 1, place: 'waiting-children', stage: { stage: 1 } },
      { counts: { size: 3, succeeded: 2, failed: 1, pending: 0 } },
    ],
    [
      'a chord whose body returned',
      { node: chord, values: 4, place: 'completed', stage: { stage: 1 }, child: 'value' },
      { counts: { size: 3, succeeded: 3, failed: 0, pending: 0 } },
    ],
    [
      'a chord whose body failed',
      {
        node: chord,
        values: 3,
        failures: 1,
        place: 'failed',
        record: failure,
        stage: { stage: 1 },
        child: 'failure',
      },
      { counts: { size: 3, succeeded: 3, failed: 0, pending: 0 } },
    ],
    [
      'a recovered chord',
      {
        node: chord,
        values: 3,
        failures: 1,
        place: 'completed',
        returnvalue: '1',
        decision: decision({ run: 'callback', members: 'successes' }),
        stage: { stage: 1 },
        child: 'value',
      },
      {
        state: 'SUCCESS',
        recovered: { strategy: 'S', failed: 1, size: 3 },
        counts: { size: 3, succeeded: 2, failed: 1, pending: 0 },
      },
    ],
    [
      'a chain in its second step',
      { node: chain, values: 1, pending: 1 },
      { state: 'STARTED', counts: { size: 3, succeeded: 1, failed: 0, pending: 2 } },
    ],
    [
      'a task with callbacks',
      { node: task, pending: 1 },
      { state: 'PENDING', counts: { size: 1, succeeded: 0, failed: 0, pending: 1 } },
    ],
  ])('%s', (_what, fields, snapshot) => {
    expect(job(fields)).toMatchObject({ id: ID, name: fields.node?.node, queue: '_canvas', ...snapshot });
  });

  it('a chord that ended in its errback is not recovered', () => {
    const fields: Fields = { node: chord, values: 2, failures: 1, place: 'failed', record: failure };
    expect(job({ ...fields, decision: decision({ run: 'errback' }) }).recovered).toBeUndefined();
  });

  it('a removed member is never less than nothing pending', () => {
    expect(job({ node: group, values: 7, place: 'active' }).counts?.pending).toBe(0);
  });
});

describe('replies without a job', () => {
  it('are told apart, with the record where there is one', () => {
    expect(parseReply(['unknown', null, null])).toEqual({ source: 'unknown' });
    expect(parseReply(['absent', null, null])).toEqual({ source: 'absent' });
    expect(parseReply(['absent', JSON.stringify(revoked), null])).toEqual({
      source: 'absent',
      record: revoked,
    });
  });
});

describe('records that the library makes itself', () => {
  it.each<[what: string, record: TaskFailure, expected: object]>([
    [
      'of a removed member',
      failureOfMissing(ID, false),
      { reason: 'removed', error: { name: 'TaskRemovedError', code: 'TASK_REMOVED' } },
    ],
    [
      'of one that was never published',
      failureOfMissing(ID, true),
      { reason: 'removed', error: { name: 'DispatchIncompleteError', code: 'DISPATCH_INCOMPLETE' } },
    ],
    [
      'of a revoked task',
      failureOfRevoked(ID, 't', 'q', 0),
      { reason: 'revoked', error: { code: 'TASK_REVOKED' }, request: { name: 't', queue: 'q' } },
    ],
    [
      'of a skipped step',
      failureOfSkipped(ID, failure),
      {
        reason: 'upstream',
        error: {
          code: 'UPSTREAM_FAILED',
          message: expect.stringContaining('boom') as string,
          cause: failure.error,
        },
      },
    ],
    ['of a step skipped by a revocation', failureOfSkipped(ID, revoked), { reason: 'revoked' }],
    [
      'of a lost worker',
      failureFromReason(ID, 'q', 'job stalled more than allowable limit'),
      { reason: 'worker-lost' },
    ],
  ])('%s', (_what, record, expected) => {
    expect(record).toMatchObject({
      request: { id: ID, workflowId: '0~abc', position: '1', attempt: 0, args: [] },
      ...expected,
    });
    expect(Number.isNaN(Date.parse(record.at))).toBe(false);
  });
});
