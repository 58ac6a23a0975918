/**
 * A chord with members that fail, under every recovery: exactly one of callback and errback runs, once, and gets
 * everything that is known, in definition order.
 */
import { Injectable } from '@nestjs/common';
import {
  type AsyncResult,
  BrokerUnavailableError,
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  type ChordDecision,
  ChordError,
  type ChordOutcome,
  ChordRecovery,
  type ChordRecoveryType,
  ErrbackOnly,
  type JsonValue,
  type Outcome,
  RecoveryFailedError,
  Retry,
  Task,
  type TaskFailure,
} from 'nestjs-task-queue';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';
import { Runs, type TestApp, until, useApps } from '../support/app-fixture.js';

const WITHIN_MS = 60_000;

class ContractError extends Error {
  override readonly name = 'ContractError';
  readonly code = 'E_CONTRACT';
  constructor(
    readonly contract: number,
    options?: ErrorOptions,
  ) {
    super(`contract ${contract} cannot be read`, options);
  }
}

@Injectable()
class ContractTasks {
  constructor(private readonly runs: Runs) {}

  /** Odd contracts fail. Later ones are done earlier, so that definition order is no accident. */
  @Task()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  async process(contract: number, of: number): Promise<{ contract: number }> {
    await new Promise((resolve) => setTimeout(resolve, (of - contract) * 5));
    this.runs.record('process', contract);
    if (contract % 2 === 1) throw new ContractError(contract, { cause: new RangeError('page 7') });
    return { contract };
  }

  @Task()
  report(values: JsonValue, label: string): string {
    this.runs.record(`report ${label}`, values);
    return `report of ${label}`;
  }

  @Task()
  brokenReport(values: JsonValue, label: string): never {
    this.runs.record(`report ${label}`, values);
    throw new Error('no paper');
  }

  @Task()
  onError(failure: TaskFailure, label: string): void {
    this.runs.record(`errback ${label}`, failure);
  }

  @Task()
  onReport(value: JsonValue, label: string): void {
    this.runs.record(`link ${label}`, value);
  }
}

/** What a strategy of the tests does, and what it was asked. */
@Injectable()
class Book {
  readonly asked: { readonly by: string; readonly outcome: ChordOutcome }[] = [];
}

/** Decides for the callback with arguments of its own, made of what it injected. */
@Injectable()
class OwnArguments extends ChordRecovery<{ failed: number[] }> {
  constructor(private readonly book: Book) {
    super();
  }
  async recover(outcome: ChordOutcome): Promise<ChordDecision<{ failed: number[] }>> {
    this.book.asked.push({ by: 'OwnArguments', outcome });
    await Promise.resolve();
    return { run: 'callback', args: [{ failed: outcome.failures.map(({ index }) => index) }] };
  }
}

@Injectable()
class NoArguments extends ChordRecovery {
  recover(): ChordDecision {
    return { run: 'callback', args: [] };
  }
}

@Injectable()
class Errback extends ChordRecovery {
  constructor(private readonly book: Book) {
    super();
  }
  recover(outcome: ChordOutcome): ChordDecision {
    this.book.asked.push({ by: 'Errback', outcome });
    return { run: 'errback' };
  }
}

@Injectable()
class Fail extends ChordRecovery {
  recover(outcome: ChordOutcome): ChordDecision {
    const error = new ContractError(outcome.failures.length, { cause: new Error('too many') });
    return { run: 'fail', error };
  }
}

@Injectable()
class Throwing extends ChordRecovery {
  recover(): ChordDecision {
    throw new TypeError('the strategy is broken');
  }
}

@Injectable()
class Rejecting extends ChordRecovery {
  async recover(): Promise<ChordDecision> {
    await Promise.resolve();
    // What a careless strategy rejects with need not be an error.
    return Promise.reject(undefined as unknown as Error);
  }
}

@Injectable()
class Senseless extends ChordRecovery {
  recover(): ChordDecision {
    return { run: 'away' } as unknown as ChordDecision;
  }
}

@Injectable()
class Unsendable extends ChordRecovery {
  recover(): ChordDecision {
    return { run: 'callback', args: [10n as unknown as JsonValue] };
  }
}

/** Nobody provides this one. */
class Unregistered extends ChordRecovery {
  recover(): ChordDecision {
    return { run: 'callback', args: ['never'] };
  }
}

const STRATEGIES = [OwnArguments, NoArguments, Errback, Fail, Throwing, Rejecting, Senseless, Unsendable];
const fixture = useApps();
const boot = (recovery?: ChordRecoveryType): Promise<TestApp> =>
  fixture.boot({
    providers: [ContractTasks, Book, ...STRATEGIES],
    options: recovery ? { chord: { recovery } } : {},
  });

describe('a header with failures', () => {
  it('ErrbackOnly: the errback runs once, with all failures and all values', async () => {
    const app = await boot();
    const chord = await publish(app, 6, ErrbackOnly);

    const error = await errorOf(chord);
    const [failure] = await ends(app, { errback: 1 });

    expect(error).toBeInstanceOf(ChordError);
    const told = failure as unknown as TaskFailure;
    expect(told).toMatchObject({
      reason: 'error',
      failureCount: 3,
      request: { id: chord.id, name: 'chord', workflowId: chord.id, position: '' },
      error: {
        name: 'ChordError',
        code: 'CHORD_FAILED',
        message: expect.stringContaining('3 of 6 members failed; the first is [1] ContractTasks.process'),
        cause: { name: 'ContractError', message: 'contract 1 cannot be read' },
      },
    });
    expectFailures(told.failures, chord.id, [1, 3, 5], 6);
    expect(told.values).toEqual([0, 2, 4].map((contract) => ({ index: contract, value: { contract } })));
    expect((error as ChordError).failures).toEqual(told.failures);
    expect((error as ChordError).values).toEqual(told.values);
    expect(await chord.describe()).toMatchObject({
      state: 'FAILURE',
      name: 'chord',
      counts: { size: 6, succeeded: 3, failed: 3, pending: 0 },
      error: { error: { name: 'ChordError' } },
    });
    expect(await chord.describe()).not.toHaveProperty('recovered');
    // Each failing member used up its retry before the chord was decided.
    expect(app.runs.of<number>('process').filter((contract) => contract % 2 === 1)).toHaveLength(6);
  });

  it('CallbackWithSuccesses: the body runs once, with the values in order', async () => {
    const app = await boot();
    const chord = await publish(app, 7, CallbackWithSuccesses);

    expect(await chord.get({ timeout: WITHIN_MS })).toBe('report of x');
    expect(await ends(app, { report: 1 })).toEqual([[0, 2, 4, 6].map((contract) => ({ contract }))]);
    await expectRecovered(app, chord, 'CallbackWithSuccesses', 3, 7);
  });

  it('CallbackWithSuccesses: with no success at all, the list is empty', async () => {
    const app = await boot();
    const tasks = app.workflows.tasks(ContractTasks);
    const header = [tasks.process.s(1, 1), tasks.process.s(3, 3)];
    const chord = await app.workflows
      .chord(header, tasks.report.s('x'), { recovery: CallbackWithSuccesses })
      .linkError(tasks.onError.s('x'))
      .applyAsync();

    expect(await chord.get({ timeout: WITHIN_MS })).toBe('report of x');
    expect(await ends(app, { report: 1 })).toEqual([[]]);
    expect(await chord.describe()).toMatchObject({
      recovered: { strategy: 'CallbackWithSuccesses', failed: 2, size: 2 },
    });
  });

  it('CallbackWithOutcomes: the body runs once, with an outcome for every member', async () => {
    const app = await boot();
    const chord = await publish(app, 5, CallbackWithOutcomes);

    expect(await chord.get({ timeout: WITHIN_MS })).toBe('report of x');
    const [outcomes] = (await ends(app, { report: 1 })) as unknown as [Outcome[]];
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))).toEqual(
      [0, 2, 4].map((contract) => ({ contract })),
    );
    expectFailures(
      outcomes.flatMap((one, index) => (one.status === 'rejected' ? [{ index, failure: one.reason }] : [])),
      chord.id,
      [1, 3],
      5,
    );
    await expectRecovered(app, chord, 'CallbackWithOutcomes', 2, 5);
  });

  it('the default of the module holds for a chord that names no recovery', async () => {
    const app = await boot(CallbackWithSuccesses);
    const tasks = app.workflows.tasks(ContractTasks);
    const chord = await app.workflows
      .chord([tasks.process.s(0, 2), tasks.process.s(1, 2)], tasks.report.s('x'))
      .linkError(tasks.onError.s('x'))
      .applyAsync();

    expect(await chord.get({ timeout: WITHIN_MS })).toBe('report of x');
    expect(await ends(app, { report: 1 })).toEqual([[{ contract: 0 }]]);
  });

  it('no failure asks no strategy, and nothing says that it recovered', async () => {
    const app = await boot();
    const tasks = app.workflows.tasks(ContractTasks);
    for (const recovery of [CallbackWithSuccesses, OwnArguments] as ChordRecoveryType[]) {
      const chord = await app.workflows
        .chord([tasks.process.s(0, 2), tasks.process.s(2, 2)], tasks.report.s('x'), { recovery } as object)
        .applyAsync();
      expect(await chord.get({ timeout: WITHIN_MS })).toBe('report of x');
      expect(await chord.describe()).not.toHaveProperty('recovered');
    }
    expect(app.get(Book).asked).toEqual([]);
    expect(app.runs.of('report x')).toEqual([
      [{ contract: 0 }, { contract: 2 }],
      [{ contract: 0 }, { contract: 2 }],
    ]);
  });
});

describe('a strategy of the application', () => {
  it('is asked once, with every member in order, and its arguments go to the callback', async () => {
    const app = await boot();
    const chord = await publish(app, 5, OwnArguments);

    expect(await chord.get({ timeout: WITHIN_MS })).toBe('report of x');
    expect(await ends(app, { report: 1 })).toEqual([{ failed: [1, 3] }]);
    const { asked } = app.get(Book);
    expect(asked.map(({ by }) => by)).toEqual(['OwnArguments']);
    const outcome = asked[0]?.outcome;
    expect(outcome).toMatchObject({ chordId: chord.id, size: 5 });
    expect(outcome?.members.map(({ index, status, taskId }) => [index, status, taskId])).toEqual(
      ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'].map((status, index) => [
        index,
        status,
        `${chord.id}.${index}`,
      ]),
    );
    expect(outcome?.successes.map(({ index, value }) => [index, value])).toEqual(
      [0, 2, 4].map((contract) => [contract, { contract }]),
    );
    expectFailures(outcome?.failures, chord.id, [1, 3], 5);
    await expectRecovered(app, chord, 'OwnArguments', 2, 5);
  });

  it('may run the callback without any argument', async () => {
    const app = await boot();
    const tasks = app.workflows.tasks(ContractTasks);
    const body = tasks.report.si('of its own', 'x');
    const chord = await app.workflows
      .chord([tasks.process.s(1, 1)], body, { recovery: NoArguments })
      .linkError(tasks.onError.s('x'))
      .applyAsync();

    expect(await chord.get({ timeout: WITHIN_MS })).toBe('report of x');
    expect(await ends(app, { report: 1 })).toEqual(['of its own']);
  });

  it('may run the errback', async () => {
    const app = await boot();
    const chord = await publish(app, 4, Errback);

    const error = (await errorOf(chord)) as ChordError;
    const [told] = (await ends(app, { errback: 1 })) as unknown as [TaskFailure];

    expect(error).toBeInstanceOf(ChordError);
    expect(error.failures.map(({ index }) => index)).toEqual([1, 3]);
    expect(told.failures).toEqual(error.failures);
    expect(app.get(Book).asked.map(({ by }) => by)).toEqual(['Errback']);
    expect(await chord.describe()).not.toHaveProperty('recovered');
  });

  it('may fail with an error of its own; the errback gets it with failures and values', async () => {
    const app = await boot();
    const chord = await publish(app, 4, Fail);

    const error = await errorOf(chord);
    const [told] = (await ends(app, { errback: 1 })) as unknown as [TaskFailure];

    expect(error).toMatchObject({ name: 'ContractError', message: 'contract 2 cannot be read' });
    expect(told.error).toMatchObject({
      name: 'ContractError',
      code: 'E_CONTRACT',
      data: { contract: 2 },
      stack: expect.stringContaining('Fail.recover'),
      cause: { name: 'Error', message: 'too many' },
    });
    expect(told.failures?.map(({ index }) => index)).toEqual([1, 3]);
    expect(told.values?.map(({ index }) => index)).toEqual([0, 2]);
  });

  const broken: readonly [string, ChordRecoveryType, RegExp][] = [
    ['throws', Throwing, /"Throwing" threw: the strategy is broken/],
    ['rejects with nothing', Rejecting, /"Rejecting" threw: undefined/],
    ['answers something else', Senseless, /"Senseless" answered \{"run":"away"\}/],
    ['gives an argument that cannot be sent', Unsendable, /args\[0\] cannot be sent as JSON: it is a BigInt/],
    ['is provided by nobody', Unregistered, /names the recovery "Unregistered"/],
  ];

  it.each(broken)('that %s fails its chord with a RecoveryFailedError', async (_, recovery, message) => {
    const app = await boot();
    const chord = await publish(app, 4, recovery);

    const error = await errorOf(chord);
    const [told] = (await ends(app, { errback: 1 })) as unknown as [TaskFailure];

    expect(error).toBeInstanceOf(RecoveryFailedError);
    expect(told.error).toMatchObject({
      name: 'RecoveryFailedError',
      code: 'RECOVERY_FAILED',
      message: expect.stringMatching(message),
    });
    expect(told.failures?.map(({ index }) => index)).toEqual([1, 3]);
    expect(await chord.state()).toBe('FAILURE');
  });

  it('is not asked, and nothing fails, while what the members came to cannot be read', async () => {
    const app = await boot();
    const { reader } = app.get(TaskQueueEngine);
    const read = jest.spyOn(reader, 'settledOutcomes').mockImplementationOnce(() => {
      throw new BrokerUnavailableError('cut off');
    });
    const chord = await publish(app, 3, OwnArguments);

    expect(await chord.get({ timeout: WITHIN_MS })).toBe('report of x');
    expect(await ends(app, { report: 1 })).toEqual([{ failed: [1] }]);
    expect(app.get(Book).asked).toHaveLength(1);
    expect(read).toHaveBeenCalledTimes(2);
    read.mockRestore();
  });

  it('keeps the cause of what it threw', async () => {
    const app = await boot();
    const chord = await publish(app, 2, Throwing);

    expect(await errorOf(chord)).toMatchObject({
      cause: expect.objectContaining({ name: 'TypeError', message: 'the strategy is broken' }),
    });
    await ends(app, { errback: 1 });
  });
});

describe('errbacks and links of a chord', () => {
  it('an errback on the body is the chord’s: it runs once when the header fails', async () => {
    const app = await boot();
    const tasks = app.workflows.tasks(ContractTasks);
    const body = tasks.report.s('x').linkError(tasks.onError.s('x'));
    const chord = await app.workflows
      .chord([tasks.process.s(0, 2), tasks.process.s(1, 2)], body)
      .applyAsync();

    await errorOf(chord);
    const [told] = (await ends(app, { errback: 1 })) as unknown as [TaskFailure];

    expect(told.request).toMatchObject({ id: chord.id, name: 'chord' });
    expectFailures(told.failures, chord.id, [1], 2);
    expect(told.values).toEqual([{ index: 0, value: { contract: 0 } }]);
  });

  it('it runs once when the body fails, with the body’s error and all values', async () => {
    const app = await boot();
    const tasks = app.workflows.tasks(ContractTasks);
    const body = tasks.brokenReport.s('x').linkError(tasks.onError.s('x'));
    const chord = await app.workflows
      .chord([tasks.process.s(0, 2), tasks.process.s(2, 2)], body)
      .applyAsync();

    expect(await errorOf(chord)).toMatchObject({ message: 'no paper' });
    const [, told] = (await ends(app, { report: 1, errback: 1 })) as unknown as [unknown, TaskFailure];

    expect(told.request).toMatchObject({ id: `${chord.id}.body`, name: 'ContractTasks.brokenReport' });
    expect(told.failures).toEqual([]);
    expect(told.values?.map(({ index }) => index)).toEqual([0, 1]);
  });

  it('the same errback on chord and body counts once; two different ones run both', async () => {
    const app = await boot();
    const tasks = app.workflows.tasks(ContractTasks);
    const body = tasks.report.s('x').linkError(tasks.onError.s('y'));
    const chord = await app.workflows
      .chord([tasks.process.s(1, 1)], body)
      .linkError(tasks.onError.s('x'))
      .linkError(tasks.onError.s('x'))
      .applyAsync();

    await errorOf(chord);
    await ends(app, { errback: 1 });

    expect(app.runs.count('errback y')).toBe(1);
  });

  it('the errback of a recovered chord runs when the body fails after all', async () => {
    const app = await boot();
    const tasks = app.workflows.tasks(ContractTasks);
    const chord = await app.workflows
      .chord([tasks.process.s(0, 2), tasks.process.s(1, 2)], tasks.brokenReport.s('x'), {
        recovery: CallbackWithSuccesses,
      })
      .linkError(tasks.onError.s('x'))
      .applyAsync();

    expect(await errorOf(chord)).toMatchObject({ message: 'no paper' });
    const [values, told] = (await ends(app, { report: 1, errback: 1 })) as unknown as [unknown, TaskFailure];

    expect(values).toEqual([{ contract: 0 }]);
    expect(told.error.message).toBe('no paper');
    expect(told.failures?.map(({ index }) => index)).toEqual([1]);
    expect(await chord.state()).toBe('FAILURE');
  });

  it('a link runs once after the body of a recovered chord, and not after a failure', async () => {
    const app = await boot();
    const tasks = app.workflows.tasks(ContractTasks);
    const header = [tasks.process.s(0, 2), tasks.process.s(1, 2)];
    const recovered = await app.workflows
      .chord(header, tasks.report.s('x'), { recovery: CallbackWithSuccesses })
      .link(tasks.onReport.s('recovered'))
      .applyAsync();
    const failed = await app.workflows
      .chord(header, tasks.report.s('failed'))
      .link(tasks.onReport.s('failed'))
      .applyAsync();

    await recovered.get({ timeout: WITHIN_MS });
    await errorOf(failed);
    await ends(app, { report: 1 });

    expect(app.runs.of('link recovered')).toEqual(['report of x']);
    expect(app.runs.count('link failed')).toBe(0);
  });
});

/** A chord over contracts 0 to `size - 1`, of which the odd ones fail. */
function publish(app: TestApp, size: number, recovery: ChordRecoveryType): Promise<AsyncResult<string>> {
  const tasks = app.workflows.tasks(ContractTasks);
  const header = Array.from({ length: size }, (_, contract) => tasks.process.s(contract, size));
  // Which body fits is a question of types that type tests ask; here one body takes whatever comes.
  const options = { recovery } as unknown as { recovery: typeof ErrbackOnly };
  return app.workflows
    .chord(header, tasks.report.s('x'), options)
    .linkError(tasks.onError.s('x'))
    .applyAsync();
}

/** What body and errback got, once nothing is left that could run; each ran as often as expected. */
async function ends(
  app: TestApp,
  times: { readonly report?: number; readonly errback?: number },
): Promise<JsonValue[]> {
  if (times.errback) await app.runs.reached('errback x', times.errback);
  await until(async () => Object.keys(await fixture.unfinished(app.prefix)).length === 0, 'nothing is left');
  const reports = app.runs.of<JsonValue>('report x');
  const errbacks = app.runs.of<JsonValue>('errback x');
  expect({ report: reports.length, errback: errbacks.length }).toEqual({ report: 0, errback: 0, ...times });
  return [...reports, ...errbacks];
}

async function errorOf(handle: AsyncResult<unknown>): Promise<unknown> {
  const settled = await handle.get({ timeout: WITHIN_MS }).then(
    (value: unknown) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in settled) return settled.error;
  throw new Error(`expected a failure, got ${JSON.stringify(settled.value)}`);
}

/** Failures of odd contracts: complete, in order, each with its own position. */
function expectFailures(
  failures: readonly { readonly index: number; readonly failure: TaskFailure }[] | undefined,
  chordId: string,
  indices: readonly number[],
  size: number,
): void {
  expect(failures?.map(({ index }) => index)).toEqual(indices);
  for (const { index, failure } of failures ?? []) {
    expect(failure).toEqual({
      request: {
        id: `${chordId}.${index}`,
        name: 'ContractTasks.process',
        args: [index, size],
        queue: 'default',
        attempt: 2,
        workflowId: chordId,
        position: String(index),
      },
      error: {
        name: 'ContractError',
        message: `contract ${index} cannot be read`,
        code: 'E_CONTRACT',
        stack: expect.stringContaining('ContractTasks.process'),
        cause: {
          name: 'RangeError',
          message: 'page 7',
          stack: expect.stringContaining('RangeError: page 7'),
        },
        data: { contract: index },
      },
      reason: 'error',
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
  }
}

async function expectRecovered(
  app: TestApp,
  chord: AsyncResult<string>,
  strategy: string,
  failed: number,
  size: number,
): Promise<void> {
  // Also from a handle that was made from the id alone.
  const described = await app.workflows.result(chord.id).describe();
  expect(described).toMatchObject({
    state: 'SUCCESS',
    value: 'report of x',
    recovered: { strategy, failed, size },
    counts: { size, succeeded: size - failed, failed, pending: 0 },
  });
  expect(described).not.toHaveProperty('error');
}
