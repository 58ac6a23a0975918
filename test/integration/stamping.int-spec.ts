import { Injectable } from '@nestjs/common';
import {
  currentTask,
  type JsonValue,
  OnFailure,
  OnRetry,
  OnRevoked,
  OnSuccess,
  Retry,
  Task,
  type TaskFailure,
  type TaskRetry,
  type TaskSuccess,
  WorkflowService,
} from 'nestjs-task-queue';
import { Runs, type TestApp, useApps } from '../support/app-fixture.js';

/** Headers that ride along. */

@Injectable()
class StampedTasks {
  constructor(
    private readonly runs: Runs,
    private readonly workflows: WorkflowService,
  ) {}

  @Task()
  seen(value: JsonValue, as: string): JsonValue {
    this.runs.record(as, currentTask().headers);
    return value;
  }

  @Task()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  failing(value: number): never {
    this.runs.record('failing', currentTask().headers);
    throw new Error(`no ${value}`);
  }

  @Task()
  replaced(): JsonValue {
    const { seen } = this.workflows.tasks(StampedTasks);
    return currentTask().replace(seen.s(1, 'replacement').link(seen.si(1, 'link of the replacement')));
  }

  @Task()
  alarm(failure: TaskFailure): void {
    this.runs.record('failures of the alarm', failure.failures);
    this.runs.record('alarm', { own: currentTask().headers, failed: failure.request.headers });
  }

  /** Adds members in each of its attempts. */
  @Task()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  async adding(): Promise<void> {
    const task = currentTask();
    const { seen, failing } = this.workflows.tasks(StampedTasks);
    await task.addToGroup(seen.si(1, 'added').stamp({ build: 7 }));
    await task.addToGroup(this.workflows.chain(failing.si(3)));
    if (task.retries === 0) throw new Error('again');
  }

  @OnSuccess('seen')
  succeeded({ args, headers }: TaskSuccess): void {
    this.runs.record(`success of ${args[1] as string}`, headers);
  }

  @OnRevoked('seen')
  revoked({ request }: TaskFailure): void {
    this.runs.record('on revoked', request.headers);
  }

  @OnFailure('failing')
  failed({ request }: TaskFailure): void {
    this.runs.record('on failure', request.headers);
  }

  @OnRetry('failing')
  retried({ failure }: TaskRetry): void {
    this.runs.record('on retry', failure.request.headers);
  }
}

describe('stamps', () => {
  const fixture = useApps();
  const stamps = { tenant: 'acme', trace: 't-1' };
  let app: TestApp;
  beforeEach(async () => {
    app = await fixture.boot({ providers: [StampedTasks] });
  });
  const tasks = () => app.workflows.tasks(StampedTasks);

  it('are on every task of a canvas: steps, members, bodies, items, callbacks and replacements', async () => {
    const { workflows } = app;
    const { seen, replaced } = tasks();
    const header = [seen.si(1, 'member'), seen.starmap([[1, 'item']]), replaced.si()];
    const chord = workflows.chord(header, seen.si(1, 'body').link(seen.si(1, 'link of the body')));
    const canvas = workflows.chain(seen.s(1, 'step'), chord, seen.si(1, 'last')).link(seen.si(1, 'link'));
    await (await canvas.stamp(stamps).delay()).get();
    const all = [
      'step',
      'member',
      'item',
      'replacement',
      'link of the replacement',
      'body',
      'link of the body',
    ];
    for (const one of [...all, 'last', 'link']) {
      await app.runs.reached(one);
      expect([one, app.runs.of(one)]).toEqual([one, [stamps]]);
    }
  });

  it('stay through retries, and reach hooks and errbacks with the failure, also one that is linked later', async () => {
    const { failing, alarm } = tasks();
    const stamped = failing.s(1).linkError(alarm.s()).stamp(stamps);
    await stamped.delay();
    await app.runs.reached('alarm');
    await app.runs.reached('on failure');
    expect(app.runs.of('failing')).toEqual([stamps, stamps]);
    expect([app.runs.of('on retry'), app.runs.of('on failure')]).toEqual([[stamps], [stamps]]);
    expect(app.runs.of('alarm')).toEqual([{ own: stamps, failed: stamps }]);
    const later = await app.workflows
      .group([failing.s(2)])
      .stamp(stamps)
      .linkError(alarm.s())
      .delay();
    await app.runs.reached('alarm', 2);
    await expect(later.settled()).resolves.toMatchObject([{ reason: { request: { headers: stamps } } }]);
  });

  it('go to members that a task adds while it runs, whose own keys stay, and to what becomes of those', async () => {
    const { adding, alarm } = tasks();
    const group = app.workflows.group([adding.s()]).stamp(stamps).linkError(alarm.s());
    await expect((await group.delay()).get()).rejects.toThrow('no 3');
    await app.runs.reached('alarm');
    await app.runs.reached('on failure');
    expect(app.runs.of('added')).toEqual([{ build: 7, ...stamps }]);
    expect(app.runs.of('on failure')).toEqual([stamps]);
    expect(app.runs.of<TaskFailure['failures']>('failures of the alarm')).toMatchObject([
      [{ index: 2, failure: { request: { headers: stamps } } }],
    ]);
  });

  it('stay in dead letters, and with the tasks that are run again out of them', async () => {
    const { workflows } = app;
    const { failing, seen } = tasks();
    const canvas = workflows.chord([seen.si(1, 'fine'), failing.si(4)], seen.s('never')).stamp(stamps);
    const handle = await canvas.delay();
    await expect(handle.get()).rejects.toThrow('no 4');
    const letter = await workflows.deadLetters.get(`${handle.id}.1`);
    expect(letter).toMatchObject({ failure: { request: { headers: stamps } }, payload: { headers: stamps } });
    const again = await workflows.deadLetters.retry(`${handle.id}.1`);
    await expect(again.get()).rejects.toThrow('no 4');
    expect(app.runs.of('failing')).toEqual(Array(4).fill(stamps));
    const second = await workflows.deadLetters.get(again.id);
    expect(second?.failure.request.headers).toEqual(stamps);
  });

  it('reach the hooks of success and of a revocation', async () => {
    const { seen } = tasks();
    await seen.s(1, 'fine').stamp(stamps).delay();
    await app.runs.reached('success of fine');
    expect(app.runs.of('success of fine')).toEqual([stamps]);
    const waiting = await seen.s(1, 'late').stamp(stamps).applyAsync([], { countdown: '1h' });
    await waiting.revoke();
    await app.runs.reached('on revoked');
    expect(app.runs.of('on revoked')).toEqual([stamps]);
  });

  it('replace a key that was stamped before, and keep the others', async () => {
    const canvas = app.workflows.group([tasks().seen.s(1, 'twice')]).stamp({ tenant: 'old', build: 7 });
    await (await canvas.stamp(stamps).delay()).get();
    expect(app.runs.of('twice')).toEqual([{ ...stamps, build: 7 }]);
  });
});
