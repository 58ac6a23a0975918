import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import {
  ChordError,
  currentTask,
  OnFailure,
  OnSuccess,
  Retry,
  SoftTimeLimitExceededError,
  Task,
  type TaskFailure,
  type TaskSuccess,
  WorkflowService,
  WorkerLostError,
} from 'nestjs-task-queue';
import { DrainError } from 'nestjs-task-queue/testing';
import { type MemoryApp, startMemoryApp } from '../../support/memory-app.js';

@Injectable()
class Notes {
  readonly all: string[] = [];
}

@Injectable()
class MailTasks {
  constructor(
    private readonly notes: Notes,
    private readonly workflows: WorkflowService,
  ) {}

  @Task()
  @Retry({ maxRetries: 3, backoff: { type: 'fixed', delay: '1m' } })
  send(to: string): string {
    this.notes.all.push(`${to} ${currentTask().attempt}`);
    return to.toUpperCase();
  }

  @Task()
  report(all: string[]): string {
    return all.join(', ');
  }

  @Task({ softTimeLimit: '10s', timeLimit: '20s' })
  async wait(how: 'politely' | 'stubbornly'): Promise<void> {
    const { signal } = currentTask();
    await new Promise((_resolve, reject) => {
      if (how === 'politely') signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  }

  @Task()
  async real(ms: number): Promise<string> {
    await pause(ms);
    return 'done';
  }

  @Task()
  async forever(): Promise<void> {
    await this.workflows.tasks(MailTasks).forever.delay();
  }

  @Task()
  async asks(): Promise<string> {
    const other = await this.workflows.tasks(MailTasks).send.delay('other');
    return other.get({ allowInsideTask: true });
  }

  @OnSuccess('send')
  sent({ value }: TaskSuccess): void {
    this.notes.all.push(`sent ${value as string}`);
  }

  @OnFailure('send')
  failed({ error }: TaskFailure): void {
    this.notes.all.push(`failed ${error.message}`);
  }
}

let app: MemoryApp;
afterEach(() => app.close());

async function start(options: Parameters<typeof startMemoryApp>[1] = {}) {
  app = await startMemoryApp([Notes, MailTasks], options);
  const { workflows, queue, module } = app;
  return { workflows, queue, tasks: workflows.tasks(MailTasks), notes: module.get(Notes).all };
}

describe('immediate', () => {
  it('has run the canvas, callbacks and hooks when applyAsync resolves', async () => {
    const { workflows, tasks, notes } = await start();
    const chord = await workflows
      .chord([tasks.send.s('a'), tasks.send.s('b')], tasks.report.s())
      .link(tasks.send.si('linked'))
      .applyAsync();
    expect(await chord.result()).toBe('A, B');
    expect(notes).toEqual(['a 1', 'sent A', 'b 1', 'sent B', 'linked 1', 'sent LINKED']);
  });

  it('leaves failures in the handle', async () => {
    const { workflows, tasks, queue } = await start();
    queue.fail(tasks.send, { times: Infinity, error: new RangeError('no') });
    const chord = await workflows.chord([tasks.send.s('a')], tasks.report.s()).applyAsync();
    expect(await chord.state()).toBe('PENDING'); // its member waits for its retry
    await queue.advance('3m');
    await expect(chord.get()).rejects.toBeInstanceOf(ChordError);
  });

  it('does not wait for what is delayed', async () => {
    const { tasks, queue, notes } = await start();
    await tasks.send.applyAsync(['late'], { countdown: '1h' });
    expect(queue.waiting()).toMatchObject([
      { state: 'delayed', dueAt: new Date(queue.now().getTime() + 3_600_000) },
    ]);
    await queue.advance('59m');
    expect(notes).toEqual([]);
    await queue.advance('1m');
    expect(notes).toEqual(['late 1', 'sent LATE']);
  });

  it('publishing inside a task does not wait, and a handler may wait for another one', async () => {
    const { tasks } = await start();
    const asked = await tasks.asks.delay();
    expect(await asked.get()).toBe('OTHER');
  });

  it('who waits behind others is not stuck', async () => {
    const queues = { default: { concurrency: 1 } };
    const { tasks } = await start({ queues, stuckAfter: '400ms', patience: '20ms' });
    const all = await Promise.all(Array.from({ length: 10 }, () => tasks.real.delay(100)));
    expect(await Promise.all(all.map((one) => one.result()))).toEqual(Array(10).fill('done'));
  });

  it('several may be published side by side', async () => {
    const { tasks } = await start();
    const all = await Promise.all([tasks.send.delay('a'), tasks.real.delay(5), tasks.send.delay('b')]);
    expect(await Promise.all(all.map((one) => one.state()))).toEqual(['SUCCESS', 'SUCCESS', 'SUCCESS']);
  });
});

describe('stepwise', () => {
  it('runs nothing by itself', async () => {
    const { tasks, queue, notes } = await start({ mode: 'stepwise' });
    const handle = await tasks.send.delay('a');
    await pause(20);
    expect(await handle.state()).toBe('PENDING');
    expect(notes).toEqual([]);
    expect(await queue.drain()).toBe(1);
    expect(await handle.get()).toBe('A');
  });

  it('step() runs one attempt and what joins it leads to', async () => {
    const { workflows, tasks, queue } = await start({ mode: 'stepwise' });
    const chain = await workflows.chain(tasks.send.s('a'), tasks.send.s(), tasks.send.s()).applyAsync();
    expect(await queue.step()).toBe(1);
    expect(queue.waiting().map(({ task }) => task)).toEqual(['MailTasks.send']);
    expect(await queue.step(2)).toBe(2);
    expect(await chain.get()).toBe('A');
    expect(await queue.step()).toBe(0);
  });

  it('drain() leaves what is due later, drain({ delayed }) goes on to it', async () => {
    const { tasks, queue, notes } = await start({ mode: 'stepwise' });
    queue.fail(tasks.send, { attempt: [1, 2] });
    await tasks.send.delay('a');
    expect(await queue.drain()).toBe(1);
    const before = queue.now().getTime();
    expect(await queue.drain({ delayed: true })).toBe(2);
    expect(queue.now().getTime() - before).toBe(120_000);
    expect(notes).toEqual(['a 3', 'sent A']);
  });

  it('who waits is woken, and who watches sees the states', async () => {
    const { tasks, queue } = await start({ mode: 'stepwise' });
    const handle = await tasks.send.delay('a');
    const value = handle.get();
    const states: string[] = [];
    const watched = (async () => {
      for await (const { state } of handle.watch()) states.push(state);
    })();
    await queue.drain();
    expect(await value).toBe('A');
    await watched;
    expect(states.at(0)).toBe('PENDING');
    expect(states.at(-1)).toBe('SUCCESS');
  });
});

describe('the clock', () => {
  it('ends an attempt at its limits', async () => {
    const { tasks, queue } = await start({ mode: 'stepwise' });
    const polite = await tasks.wait.delay('politely');
    const stubborn = await tasks.wait.delay('stubbornly');
    await queue.advance('9s');
    expect(await polite.state()).toBe('STARTED');
    await queue.advance('1s');
    await expect(polite.get()).rejects.toBeInstanceOf(SoftTimeLimitExceededError);
    expect(await stubborn.state()).toBe('STARTED');
    await queue.advance('10s');
    await expect(stubborn.get()).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
  });

  it('waits for handlers that take real time', async () => {
    const { tasks, queue } = await start({ mode: 'stepwise' });
    const handle = await tasks.real.delay(400);
    await queue.drain();
    expect(await handle.result()).toBe('done');
  });

  it('is what get() waits by, and what results expire by', async () => {
    const { tasks, queue } = await start({ mode: 'stepwise', defaults: { resultExpires: '1h' } });
    const handle = await tasks.send.applyAsync(['a'], { countdown: '10m' });
    const refused = handle.get({ timeout: '5m' }).catch((error: unknown) => error);
    await queue.advance('5m');
    expect(await refused).toMatchObject({ code: 'RESULT_TIMEOUT' });
    await queue.advance('5m');
    expect(await handle.get()).toBe('A');
    await queue.advance('59m');
    expect(await handle.state()).toBe('SUCCESS');
    await queue.advance('1m');
    expect(await handle.state()).toBe('UNKNOWN');
  });

  it('expires what was not started in time', async () => {
    const { tasks, queue } = await start({ mode: 'stepwise' });
    const handle = await tasks.send.applyAsync(['a'], { expires: '1m', countdown: '2m' });
    await queue.advance('2m');
    await expect(handle.get()).rejects.toMatchObject({ code: 'TASK_EXPIRED' });
  });

  it("may be the machine's, which nobody can move", async () => {
    const { tasks, queue, notes } = await start({ clock: 'system' });
    await tasks.send.applyAsync(['soon'], { countdown: 30 });
    const handle = await tasks.send.applyAsync(['a'], { countdown: '1h' });
    await expect(queue.advance('1h')).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    for (let looks = 0; looks < 500 && notes.length < 2; looks++) await pause(10);
    expect(notes).toEqual(['soon 1', 'sent SOON']);
    await queue.drain({ delayed: true });
    expect(await handle.result()).toBe('A');
  });
});

describe('fake timers of the test runner', () => {
  afterEach(() => jest.useRealTimers());

  it('do not stop it: it waits for handlers in real time', async () => {
    jest.useFakeTimers();
    const { tasks, queue, notes } = await start({
      mode: 'stepwise',
      stuckAfter: '200ms',
      patience: '50ms',
    });
    queue.fail('MailTasks.send', { attempt: 1 });
    const sent = await tasks.send.delay('ann');
    const waiting = await tasks.wait.delay('politely');
    await queue.advance('1m');
    expect(await sent.get()).toBe('ANN');
    expect(notes).toEqual(['ann 2', 'sent ANN']);
    await expect(waiting.get()).rejects.toBeInstanceOf(SoftTimeLimitExceededError);
    await tasks.wait.delay('stubbornly');
    await expect(queue.drain()).rejects.toBeInstanceOf(DrainError);
    await app.close();
  });
});

describe('faults', () => {
  it('strike the next attempt, those of a number, or those with certain arguments', async () => {
    const { tasks, queue } = await start();
    queue.fail(tasks.report, { error: new TypeError('no') });
    await expect((await tasks.report.delay([])).get()).rejects.toThrow(new TypeError('no'));
    expect(await (await tasks.report.delay([])).state()).toBe('SUCCESS');

    queue.fail('MailTasks.send', { times: Infinity, when: ({ args }) => args[0] === 'b' });
    const [a, b] = [await tasks.send.delay('a'), await tasks.send.delay('b')];
    await queue.drain({ delayed: true });
    expect([await a.state(), await b.state()]).toEqual(['SUCCESS', 'FAILURE']);
    expect(queue.failures(tasks.send)).toMatchObject([{ request: { args: ['b'], attempt: 4 } }]);
  });

  it('a worker that dies before its handler began', async () => {
    const { tasks, queue, notes } = await start();
    queue.loseWorker(tasks.send);
    const handle = await tasks.send.delay('a');
    expect(await handle.get()).toBe('A');
    expect(notes).toEqual(['a 2', 'sent A']);
    expect(queue.failures()).toEqual([]);
  });

  it('a worker that dies after its handler has done its work, once too often', async () => {
    const { tasks, queue, notes } = await start();
    queue.loseWorker(tasks.send, { after: true, times: 2 });
    const handle = await tasks.send.delay('a');
    await expect(handle.get()).rejects.toBeInstanceOf(WorkerLostError);
    expect(notes).toEqual(['a 1', 'a 2', expect.stringMatching(/^failed /)]);
  });

  it('need a task that there is', async () => {
    const { queue } = await start();
    expect(() => queue.fail('MailTasks.sned')).toThrow(/one of the tasks MailTasks.asks, .*"MailTasks.sned"/);
  });
});

describe('what was published', () => {
  it('holds every call with its place, arguments and options', async () => {
    const { workflows, tasks, queue } = await start({ mode: 'stepwise' });
    const chord = workflows.chord([tasks.send.s('a').set({ priority: 3 })], tasks.report.s());
    const { id } = await chord.linkError(tasks.send.si('oh')).applyAsync();
    expect(queue.published()).toMatchObject([
      { id, task: 'MailTasks.send', args: ['a'], options: { priority: 3 }, path: 'header[0]' },
      { id, task: 'MailTasks.report', args: [], path: 'body' },
      { id, task: 'MailTasks.send', args: ['oh'], path: 'errbacks[0]' },
    ]);
    expect(queue.published(tasks.report)).toHaveLength(1);
    queue.reset();
    expect([queue.published(), queue.waiting(), await queue.drain()]).toEqual([[], [], 0]);
  });

  it('refuses what JSON cannot carry, as always', async () => {
    const { workflows } = await start();
    await expect(workflows.signature('MailTasks.send', [1n]).applyAsync()).rejects.toMatchObject({
      code: 'UNSERIALIZABLE_ARGUMENT',
    });
  });
});

describe('what would never end', () => {
  it('a task that publishes itself', async () => {
    const { tasks, queue } = await start({ mode: 'stepwise', maxSteps: 500 });
    await tasks.forever.delay();
    await expect(queue.drain()).rejects.toThrow(/500 jobs were started .* MailTasks.forever/);
  });

  it('the same where publishing means running', async () => {
    const { tasks } = await start({ maxSteps: 500 });
    const { id } = await tasks.forever.delay();
    expect(id).toBeDefined(); // itself it has run; what it published is another canvas
    await expect(app.queue.drain()).rejects.toBeInstanceOf(DrainError);
  });

  it('a handler that waits for what does not come', async () => {
    const { tasks, queue } = await start({ mode: 'stepwise', stuckAfter: '300ms', patience: '50ms' });
    await tasks.wait.delay('stubbornly');
    await expect(queue.drain()).rejects.toThrow(/300 ms of real time, and MailTasks.wait .* is running/);
    await queue.advance('1m');
    expect(queue.failures()).toMatchObject([{ reason: 'time-limit' }]);
  });
});

it.each([
  [{ mode: 'eager' }, "Option mode: expected 'immediate' or 'stepwise', got \"eager\"."],
  [{ clock: 'wall' }, "Option clock: expected 'virtual' or 'system', got \"wall\"."],
  [{ startAt: 'tomorrow' }, 'Option startAt: expected a date, got "tomorrow".'],
])('refuses %o', async (options, message) => {
  app = await startMemoryApp([]);
  await expect(startMemoryApp([], options as never)).rejects.toThrow(message);
});
