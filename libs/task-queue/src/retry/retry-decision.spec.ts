import { IgnoreResult, RejectTask, RetryTask } from '../errors/control-flow.js';
import { UnserializableArgumentError } from '../errors/publish.errors.js';
import {
  InvalidArgumentsError,
  MaxRetriesExceededError,
  NonRetryableError,
  RemoteTaskError,
  SoftTimeLimitExceededError,
  TaskExpiredError,
  TaskRevokedError,
  TimeLimitExceededError,
  UndecodablePayloadError,
  UnknownTaskError,
  UnserializableResultError,
  UpstreamFailedError,
  WorkerLostError,
} from '../errors/task.errors.js';
import {
  areRetriesSpent,
  decideRetry,
  type RetryDecision,
  type RetryState,
  wouldRetry,
} from './retry-decision.js';
import { compileRetryPolicy, type RetryOptions } from './retry-policy.js';
import { RetryPresets } from './retry-presets.js';

class Overloaded extends Error {}
class Unreachable extends Overloaded {}
class InvalidInput extends Error {}

const NOW = Date.parse('2026-01-01T00:00:00Z');
const decide = (thrown: unknown, policies: RetryOptions[], state: Partial<RetryState> = {}): RetryDecision =>
  decideRetry(
    thrown,
    { policies: policies.map(compileRetryPolicy), made: {}, sinceMs: NOW, ...state },
    { wallMs: () => NOW },
    () => 1,
  );
const fixed = (delay: number) => ({ type: 'fixed', delay }) as const;
const plain: RetryOptions = { backoff: fixed(10) };
const boom = new Error('boom');

const retried = (delayMs: number, policy: number, error: unknown = boom): RetryDecision => ({
  kind: 'retry',
  delayMs,
  policy,
  error,
});
const failed = (error: unknown = boom): RetryDecision => ({ kind: 'fail', error });

describe('an error of a task', () => {
  it.each<
    [
      what: string,
      thrown: unknown,
      policies: RetryOptions[],
      state: Partial<RetryState>,
      decision: RetryDecision,
    ]
  >([
    ['without a policy is final', boom, [], {}, failed()],
    ['under a policy is retried', boom, [plain], {}, retried(10, 0)],
    ['counts under its policy', boom, [plain], { made: { '0': 2 } }, retried(10, 0)],
    ['is final when its policy is used up', boom, [plain], { made: { '0': 3 } }, failed()],
    ['is final at once under a policy of no retries', boom, [{ ...plain, maxRetries: 0 }], {}, failed()],
    [
      'never ends under a policy of infinitely many',
      boom,
      [{ ...plain, maxRetries: Infinity }],
      { made: { '0': 9_999 } },
      retried(10, 0),
    ],
    [
      'has the maximum of the call instead of the policy’s',
      boom,
      [plain],
      { made: { '0': 1 }, maxRetries: 1 },
      failed(),
    ],
    [
      'has the maximum of the call also where it is higher',
      boom,
      [plain],
      { made: { '0': 5 }, maxRetries: 9 },
      retried(10, 0),
    ],
    ['that no policy is for is final', boom, [{ for: [Overloaded] }], {}, failed()],
    [
      'grows its delay with the retries under this policy',
      boom,
      [{ backoff: { type: 'exponential', delay: 10, jitter: false } }],
      { made: { '0': 2 } },
      retried(40, 0),
    ],
    ['thrown as a text is matched by a policy for everything', 'text', [plain], {}, retried(10, 0, 'text')],
    ['thrown as undefined as well', undefined, [plain], {}, { ...retried(10, 0), error: undefined }],
  ])('%s', (_what, thrown, policies, state, decision) => {
    expect(decide(thrown, policies, state)).toEqual(decision);
  });

  it('is decided by the first policy that matches, and by no other', () => {
    const policies: RetryOptions[] = [
      { for: [Unreachable], maxRetries: 1, backoff: fixed(1) },
      { for: [Overloaded], backoff: fixed(2) },
      { backoff: fixed(3) },
    ];
    const [unreachable, overloaded] = [new Unreachable(), new Overloaded()];
    expect(decide(unreachable, policies)).toEqual(retried(1, 0, unreachable));
    expect(decide(overloaded, policies)).toEqual(retried(2, 1, overloaded));
    expect(decide(boom, policies)).toEqual(retried(3, 2));
    expect(decide(unreachable, policies, { made: { '0': 1 } })).toEqual(failed(unreachable));
    expect(decide(overloaded, policies, { made: { '0': 1 } })).toEqual(retried(2, 1, overloaded));
  });

  it('of a never list is final, whichever policy has the list', () => {
    const error = new InvalidInput();
    expect(decide(error, [plain, { never: [InvalidInput] }])).toEqual(failed(error));
    expect(decide(error, [{ never: ['InvalidInput'] }])).toEqual(failed(error));
    expect(decide(boom, [{ ...plain, never: [InvalidInput] }])).toEqual(retried(10, 0));
  });

  it.each([
    new NonRetryableError('x'),
    new UnknownTaskError('t', 'q'),
    new UndecodablePayloadError('x'),
    new InvalidArgumentsError('x', {}),
    new UnserializableResultError('x'),
    new MaxRetriesExceededError('x'),
    new TaskRevokedError('x'),
    new TaskExpiredError('x'),
    new WorkerLostError(2),
    new UpstreamFailedError('x'),
  ])('$name is final by nature, also where a policy is for it', (error) => {
    expect(decide(error, [{ for: [error.constructor as typeof Error] }, plain])).toEqual(failed(error));
  });

  it.each([
    new RemoteTaskError({ name: 'X', message: 'x' }),
    new UnserializableArgumentError('t', 'args[0]', 'x'),
    new SoftTimeLimitExceededError(5),
  ])('$name is like any other', (error) => {
    expect(decide(error, [plain])).toEqual(retried(10, 0, error));
  });

  it('of a hard limit is retried only by a policy that lists it', () => {
    const error = new TimeLimitExceededError(5);
    expect(decide(error, [plain])).toEqual(failed(error));
    expect(decide(error, [plain, { for: [TimeLimitExceededError], backoff: fixed(2) }])).toEqual(
      retried(2, 1, error),
    );
    expect(decide(error, [{ for: ['TaskQueueError'], backoff: fixed(2) }])).toEqual(retried(2, 0, error));
  });
});

describe('Retry-After', () => {
  const error = Object.assign(new Error('429'), { retryAfter: 7 });

  it('replaces the backoff, not the maximum', () => {
    expect(decide(error, [plain])).toEqual({ ...retried(7_000, 0, error), isAskedFor: true });
    expect(decide(error, [plain], { made: { '0': 3 } })).toEqual(failed(error));
  });

  it('is counted from now', () => {
    const dated = Object.assign(new Error('429'), { retryAfter: new Date(NOW + 30) });
    expect(decide(dated, [plain])).toEqual({ ...retried(30, 0, dated), isAskedFor: true });
  });

  it('is not looked at where the policy says so', () => {
    expect(decide(error, [{ ...plain, honourRetryAfter: false }])).toEqual(retried(10, 0, error));
  });
});

describe('task.retry()', () => {
  it.each<
    [
      what: string,
      request: RetryTask,
      policies: RetryOptions[],
      state: Partial<RetryState>,
      delayMs: number,
      policy: number,
    ]
  >([
    ['without anything: a second', new RetryTask(), [], {}, 1_000, -1],
    ['then two', new RetryTask(), [], { made: { '-1': 1 } }, 2_000, -1],
    ['its countdown', new RetryTask({ countdown: '5s' }), [plain], {}, 5_000, 0],
    ['the backoff of the policy', new RetryTask(), [plain], {}, 10, 0],
    [
      'the backoff of the policy that is for its error',
      new RetryTask({ error: new Overloaded() }),
      [{ for: [InvalidInput] }, { for: [Overloaded], backoff: fixed(2) }],
      {},
      2,
      1,
    ],
    [
      'no policy where none is for its error',
      new RetryTask({ error: boom }),
      [{ for: [InvalidInput] }],
      {},
      1_000,
      -1,
    ],
    [
      'its own maximum',
      new RetryTask({ maxRetries: 9, countdown: 1 }),
      [{ ...plain, maxRetries: 1 }],
      { made: { '0': 5 } },
      1,
      0,
    ],
    [
      'the maximum of the call',
      new RetryTask({ countdown: 1 }),
      [],
      { made: { '-1': 5 }, maxRetries: 9 },
      1,
      -1,
    ],
    [
      'Retry-After of its error',
      new RetryTask({ error: Object.assign(new Error('429'), { retryAfter: 2 }) }),
      [plain],
      {},
      2_000,
      0,
    ],
  ])('%s', (_what, request, policies, state, delayMs, policy) => {
    expect(decide(request, policies, state)).toMatchObject(
      retried(delayMs, policy, request.options.error ?? request),
    );
  });

  it('never waits longer than ten minutes by itself', () => {
    expect(decide(new RetryTask({ maxRetries: 99 }), [], { made: { '-1': 30 } })).toMatchObject({
      delayMs: 600_000,
    });
  });

  it('counts every retry so far, whoever decided it', () => {
    const made = { '-1': 1, '0': 1, '1': 1 };
    expect(decide(new RetryTask(), [plain], { made })).toMatchObject({ kind: 'fail' });
    expect(decide(new RetryTask({ maxRetries: 4 }), [plain], { made })).toMatchObject({ kind: 'retry' });
  });

  it('once more than it may: the error that it gave, or MaxRetriesExceededError', () => {
    expect(decide(new RetryTask({ error: boom }), [], { made: { '-1': 3 } })).toEqual(failed());
    const decision = decide(new RetryTask(), [], { made: { '-1': 3 } });
    expect(decision.error).toBeInstanceOf(MaxRetriesExceededError);
    expect(decide(new RetryTask({ maxRetries: 0 }), []).error).toBeInstanceOf(MaxRetriesExceededError);
  });
});

describe('the time over all attempts', () => {
  const bounded: RetryOptions = { ...plain, maxElapsed: 1_000, maxRetries: Infinity };

  it.each([
    ['is left', 990, true],
    ['would be over when the next attempt begins', 991, false],
  ])('%s', (_what, elapsed, isRetried) => {
    const state = { sinceMs: NOW - elapsed };
    expect(decide(boom, [bounded], state)).toEqual(isRetried ? retried(10, 0) : failed());
    expect(decide(new RetryTask({ error: boom }), [bounded], state).kind).toBe(isRetried ? 'retry' : 'fail');
  });

  it('of one policy binds no other', () => {
    const error = new Overloaded();
    const policies = [bounded, { for: [Overloaded], ...plain }].toReversed();
    expect(decide(error, policies, { sinceMs: 0 })).toEqual(retried(10, 0, error));
    expect(decide(boom, policies, { sinceMs: 0 })).toEqual(failed());
  });

  it('a request after it is told why', () => {
    const { error } = decide(new RetryTask({ countdown: 2_000 }), [bounded]);
    expect(error).toBeInstanceOf(MaxRetriesExceededError);
    expect((error as Error).message).toBe(
      'The task asked for retry 1 after the time that its policy allows.',
    );
  });
});

describe('what a task may know beforehand', () => {
  const state = (policies: RetryOptions[], more: Partial<RetryState> = {}): RetryState => ({
    policies: policies.map(compileRetryPolicy),
    made: {},
    sinceMs: NOW,
    ...more,
  });

  it.each<[what: string, thrown: unknown, state: RetryState, follows: boolean]>([
    ['an error of a policy', boom, state([plain]), true],
    ['an error of none', boom, state([{ for: [Overloaded] }]), false],
    ['one that the task expects', boom, state([plain], { expected: [Error] }), false],
    ['one that is final by nature', new NonRetryableError('x'), state([plain]), false],
    ['one after the time', boom, state([{ maxElapsed: 5 }], { sinceMs: NOW - 6 }), false],
    ['a request', new RetryTask(), state([]), true],
    ['a request too many', new RetryTask(), state([], { made: { '-1': 3 } }), false],
    [
      'a request with a maximum of its own',
      new RetryTask({ maxRetries: 4 }),
      state([], { made: { '-1': 3 } }),
      true,
    ],
    ['a request after the time', new RetryTask({ countdown: 9 }), state([{ maxElapsed: 5 }]), false],
    ['a rejection', new RejectTask('x'), state([plain]), false],
  ])('%s', (_what, thrown, given, follows) => {
    expect(wouldRetry(thrown, given, NOW)).toBe(follows);
  });

  it.each<[what: string, state: RetryState, areSpent: boolean]>([
    ['without a policy, at first', state([]), false],
    ['without a policy, after three', state([], { made: { '-1': 3 } }), true],
    ['of the call', state([plain], { made: { '0': 1 }, maxRetries: 1 }), true],
    [
      'of one of two policies',
      state([{ for: [Overloaded], maxRetries: 1 }, plain], { made: { '0': 1 } }),
      false,
    ],
    ['of both', state([{ for: [Overloaded], maxRetries: 1 }, plain], { made: { '0': 1, '1': 3 } }), true],
    ['by time', state([{ maxElapsed: 5 }], { sinceMs: NOW - 6 }), true],
    ['of a policy that forbids, and another', state([RetryPresets.notFound, plain]), false],
  ])('all retries are spent: %s', (_what, given, areSpent) => {
    expect(areRetriesSpent(given, NOW)).toBe(areSpent);
  });
});

describe('a policy for requests alone', () => {
  it('is theirs, wherever it stands and whatever they name', () => {
    const policies = [
      { for: [Overloaded], ...plain },
      { for: [], maxRetries: 1, backoff: fixed(7) },
    ];
    expect(decide(new RetryTask(), policies)).toMatchObject({ delayMs: 7, policy: 1 });
    expect(decide(new RetryTask({ error: boom }), policies)).toMatchObject({ delayMs: 7, policy: 1 });
    expect(decide(new RetryTask({ error: new Overloaded() }), policies)).toMatchObject({ policy: 0 });
    expect(decide(boom, policies)).toEqual(failed());
  });

  it('is not one that only forbids', () => {
    expect(decide(new RetryTask(), [RetryPresets.invalidData, plain])).toMatchObject({
      delayMs: 10,
      policy: 1,
    });
    expect(decide(new RetryTask(), [RetryPresets.invalidData])).toMatchObject({ delayMs: 1_000, policy: -1 });
  });
});

describe('other control flow', () => {
  it('a rejection is final, with its reason', () => {
    const { kind, error } = decide(new RejectTask('not for me'), [plain]);
    expect([kind, (error as Error).message]).toEqual(['fail', 'not for me']);
    expect(error).toBeInstanceOf(NonRetryableError);
  });

  it('an ignored result is none of its business: whoever asks has looked before', () => {
    expect(decide(new IgnoreResult(), [])).toMatchObject({ kind: 'fail' });
  });
});
