import { Injectable } from '@nestjs/common';
import {
  currentTask,
  type JsonValue,
  OnFailure,
  OnRetry,
  Retry,
  Task,
  type TaskFailure,
  type TaskRetry,
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
    this.runs.record('alarm', { own: currentTask().headers, failed: failure.request.headers });
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

  it('replace a key that was stamped before, and keep the others', async () => {
    const canvas = app.workflows.group([tasks().seen.s(1, 'twice')]).stamp({ tenant: 'old', build: 7 });
    await (await canvas.stamp(stamps).delay()).get();
    expect(app.runs.of('twice')).toEqual([{ ...stamps, build: 7 }]);
  });
});
