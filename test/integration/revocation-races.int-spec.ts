/**
 * A revocation at every boundary of a task's life: the application is stopped before each command that it sends to Redis,
 * from the publication to the last callback, the revocation comes from elsewhere, and the application goes on. Whoever
 * wins, it ends once, and everything that hangs on its end says the same.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import {
  currentTask,
  OnFailure,
  OnRevoked,
  OnSuccess,
  ResultUnknownError,
  Retry,
  Task,
  type TaskFailure,
  type TaskSuccess,
} from 'nestjs-task-queue';
import { CommandGate } from '../support/command-gate.js';
import { AppFixture, redisUrl, type TestApp, uniquePrefix, until } from '../support/app-fixture.js';

/** What ran, by the id of the task or canvas that it is about. */
class Seen {
  static readonly of = new Map<string, string[]>();
  /** Tasks that were held and may go on. */
  static readonly free = new Set<string>();
  static note(id: string, what: string): void {
    Seen.of.set(id, [...(Seen.of.get(id) ?? []), what]);
  }
}

@Injectable()
class RacingTasks {
  @Task()
  @Retry({ for: [RangeError], maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  async lives(how: 'works' | 'retries' | 'fails', isHeld = false): Promise<string> {
    const task = currentTask();
    Seen.note(task.id, 'ran');
    await task.progress({ attempt: task.attempt });
    while (isHeld && !Seen.free.has(task.id) && !task.signal.aborted) await delay(1);
    if (how === 'retries' && task.retries === 0) throw new RangeError('once');
    if (how === 'fails') throw new TypeError('for good');
    return 'value';
  }

  @Task()
  body(of: string): void {
    Seen.note(of, 'body');
  }

  @Task()
  linked(of: string): void {
    Seen.note(of, 'link');
  }

  @Task()
  errback(failure: TaskFailure, of: string): void {
    Seen.note(of, `errback ${failure.reason}`);
  }

  @OnSuccess('lives')
  succeeded({ id }: TaskSuccess): void {
    Seen.note(id, 'hook success');
  }

  @OnFailure('lives')
  failed({ request }: TaskFailure): void {
    Seen.note(request.id, 'hook failure');
  }

  @OnRevoked('lives')
  revoked({ request }: TaskFailure): void {
    Seen.note(request.id, 'hook revoked');
  }
}

const fixture = new AppFixture();
const prefix = uniquePrefix('race');
let app: TestApp;
let elsewhere: TestApp;
let gate: CommandGate;

beforeAll(async () => {
  const url = redisUrl();
  app = await fixture.boot({
    prefix,
    providers: [RacingTasks],
    options: { connection: { url, connectionName: `${prefix}-racing` } },
  });
  elsewhere = await fixture.boot({
    prefix,
    options: { role: 'producer', connection: { url, connectionName: `${prefix}-elsewhere` } },
  });
  gate = new CommandGate();
});
afterAll(async () => {
  gate.remove();
  await fixture.closeAll();
  await fixture.end();
});

const tasks = () => app.workflows.tasks(RacingTasks);

/** Publishes a life under an id; `revoked` is what is revoked, and whose end counts. */
interface Life {
  readonly name: string;
  readonly revoked: (id: string) => string;
  /** The task whose hooks count. */
  readonly task: (id: string) => string;
  readonly publish: (id: string) => Promise<unknown>;
  /** What a life comes to that nobody disturbs. */
  readonly end: 'SUCCESS' | 'FAILURE';
  /** What runs after a success of all of it. */
  readonly after: string;
}

const alone = (how: 'works' | 'retries' | 'fails'): Life => ({
  name: `a task that ${how}`,
  revoked: (id) => id,
  task: (id) => id,
  publish: (id) => tasks().lives.applyAsync([how], { taskId: id }),
  end: how === 'fails' ? 'FAILURE' : 'SUCCESS',
  after: '',
});

const withCallbacks: Life = {
  name: 'a task with callbacks',
  revoked: (id) => id,
  task: (id) => `${id}.0`,
  publish: (id) =>
    tasks()
      .lives.s('works')
      .link(tasks().linked.si(id))
      .linkError(tasks().errback.s(id))
      .applyAsync([], { taskId: id }),
  end: 'SUCCESS',
  after: 'link',
};

const chord = (what: 'a chord' | 'a member of a chord'): Life => ({
  name: what,
  revoked: (id) => (what === 'a chord' ? id : `${id}.0`),
  task: (id) => `${id}.0`,
  publish: (id) =>
    app.workflows
      .chord([tasks().lives.s('works'), tasks().lives.s('retries')], tasks().body.si(id))
      .linkError(tasks().errback.s(id))
      .applyAsync([], { taskId: id }),
  end: 'SUCCESS',
  after: 'body',
});

const LIVES: Life[] = [
  alone('works'),
  alone('retries'),
  alone('fails'),
  withCallbacks,
  chord('a chord'),
  chord('a member of a chord'),
];

/** Jobs that have not ended. */
async function unfinished(): Promise<number> {
  const look = fixture.redis.multi(); // a job that moves is seen in one place or the other
  for (const queue of ['default', '_canvas']) {
    const base = `{${prefix}:0}:${queue}`;
    look.llen(`${base}:wait`).llen(`${base}:active`);
    look.zcard(`${base}:delayed`).zcard(`${base}:prioritized`).zcard(`${base}:waiting-children`);
  }
  return ((await look.exec()) ?? []).reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Waits until a life is over with all that hangs on it, and says what is wrong with how it has ended. */
async function judgeInTheEnd(life: Life, id: string): ReturnType<typeof judge> {
  await app.workflows.result(id).get({ propagate: false, timeout: '30s' });
  for (const deadline = Date.now() + 20_000; ;) {
    const isQuiet = (await unfinished()) === 0;
    const verdict = await judge(life, id);
    if ((isQuiet && verdict.problems.length === 0) || Date.now() > deadline) return verdict;
    await delay(5);
  }
}

/** What is wrong with how a life has ended. */
async function judge(life: Life, id: string): Promise<{ problems: string[]; state: string }> {
  const problems: string[] = [];
  const check = (holds: boolean, what: string): void => void (holds || problems.push(what));
  const whole = app.workflows.result(id);
  const target = app.workflows.result(life.revoked(id));
  const state = await target.state();
  const again = await target.describe();
  check(again.state === state, `its state changed from ${state} to ${again.state}`);
  check(['SUCCESS', 'FAILURE', 'REVOKED'].includes(state), `it is ${state}`);
  check(
    (again.error === undefined) === (state === 'SUCCESS'),
    `${state} with ${JSON.stringify(again.error)}`,
  );

  const task = life.task(id);
  const own = await app.workflows.result(task).describe();
  const count = (of: string, what: string): number =>
    (Seen.of.get(of) ?? []).filter((one) => one.startsWith(what)).length;
  const hooks = ['success', 'failure', 'revoked'].map((kind) => count(task, `hook ${kind}`));
  const expected = {
    SUCCESS: [1, 0, 0],
    FAILURE: own.error?.error.code === 'UPSTREAM_FAILED' ? [0, 0, 0] : [0, 1, 0],
    REVOKED: [0, 0, 1],
  }[own.state as 'SUCCESS' | 'FAILURE' | 'REVOKED'];
  check(
    String(hooks) === String(expected),
    `hooks ${String(hooks)} of a task that is ${own.state}: ${(Seen.of.get(task) ?? []).join()}`,
  );
  if (own.state === 'SUCCESS') check(count(task, 'ran') >= 1, 'a success that never ran');

  if (life.after !== '') {
    const end = await whole.state();
    const after = [count(id, life.after), count(id, 'errback')];
    const wanted = end === 'SUCCESS' ? [1, 0] : [0, 1];
    check(String(after) === String(wanted), `${life.after}, errback: ${String(after)} after ${end}`);
    if (end === 'REVOKED')
      check(count(id, 'errback revoked') === 1, 'an errback that knows of no revocation');
  }
  if (life.task(id) !== id) {
    // The node has heard of each child once: as a value or as a failure.
    const node = `{${prefix}:0}:_canvas:${id}`;
    const { redis } = fixture;
    const [values, failures] = await Promise.all([
      redis.hkeys(`${node}:processed`),
      redis.hkeys(`${node}:failed`),
    ]);
    const both = values.filter((child) => failures.includes(child));
    check(both.length === 0, `told twice of ${both.join()}`);
    check((await redis.scard(`${node}:dependencies`)) === 0, 'children that it still waits for');
  }
  return { problems, state };
}

type Ended = { readonly id: string; readonly state: string };

/** What is wrong later with lives that were over. */
async function judgeLater(life: Life, ended: readonly Ended[]): Promise<string[]> {
  const problems: string[] = [];
  for (const { id, state } of ended) {
    const later = await judge(life, id);
    problems.push(...later.problems.map((problem) => `in the end: ${problem}`));
    if (later.state !== state) problems.push(`${id} was ${state} and is ${later.state}`);
  }
  return problems;
}

describe.each(['works', 'retries', 'fails'] as const)('the end of a task that %s', (how) => {
  it.each([false, true])(
    'comes at every boundary of its revocation, with terminate: %s',
    async (terminate) => {
      const life = alone(how);
      const problems: string[] = [];
      const ended: Ended[] = [];
      let boundaries = 0;
      for (let at = 0; ; at++) {
        const id = `ends-${how}-${terminate}-${at}`;
        const handle = await tasks().lives.applyAsync([how, true], { taskId: id });
        await until(() => Seen.of.has(id), `${id} runs`);
        const reached = gate.stopAt(`${prefix}-elsewhere`, at).then(() => true);
        const revocation = elsewhere.workflows.result(id).revoke({ terminate });
        const isAtBoundary = await Promise.race([reached, revocation.then(() => false)]);
        Seen.free.add(id);
        await handle.get({ propagate: false, timeout: '30s' });
        gate.open();
        await revocation;
        const { problems: found, state } = await judgeInTheEnd(life, id);
        problems.push(...found.map((problem) => `before ${at}, ${gate.before}: ${problem}`));
        ended.push({ id, state });
        if (!isAtBoundary) break;
        boundaries++;
      }
      problems.push(...(await judgeLater(life, ended)));
      expect(problems).toEqual([]);
      expect(boundaries).toBeGreaterThan(4);
      expect(ended.map(({ state }) => state)).toContain(life.end);
    },
    120_000,
  );
});

describe.each(LIVES)('$name', (life) => {
  // A canvas has many more boundaries, and its tasks have been through both.
  it.each(life.name === 'a chord' ? [false] : life.name === 'a member of a chord' ? [true] : [false, true])(
    'is revoked at every boundary, with terminate: %s',
    async (terminate) => {
      const problems: string[] = [];
      const ends: Record<string, number> = {};
      const lives: Ended[] = [];
      let boundaries = 0;
      for (let at = 0; ; at++) {
        const id = `${life.name.replaceAll(' ', '-')}-${terminate}-${at}`;
        const reached = gate.stopAt(`${prefix}-racing`, at).then(() => true);
        const published = life.publish(id);
        const over = published.then(async () => {
          await app.workflows
            .result(id)
            .get({ propagate: false, timeout: '30s' })
            .catch(() => undefined);
          return false;
        });
        const isAtBoundary = await Promise.race([reached, over]);
        let revoked: boolean | 'unknown' = false;
        if (isAtBoundary) {
          revoked = await elsewhere.workflows
            .result(life.revoked(id))
            .revoke({ terminate })
            .catch((error: unknown) => {
              if (error instanceof ResultUnknownError) return 'unknown' as const;
              throw error;
            });
        }
        gate.open();
        await published;
        const { problems: found, state } = await judgeInTheEnd(life, id);
        lives.push({ id, state });
        problems.push(
          ...found.map((problem) => `before ${at}, ${gate.before} (revoked: ${revoked}): ${problem}`),
        );
        if (revoked !== true && life.name !== 'a member of a chord' && state !== life.end)
          problems.push(`before command ${at}: ${state} although nothing was revoked`);
        ends[state] = (ends[state] ?? 0) + 1;
        if (!isAtBoundary) break;
        boundaries++;
      }
      problems.push(...(await judgeLater(life, lives)));
      expect(problems).toEqual([]);
      // It is no life without commands, and no race that only one side wins.
      expect(boundaries).toBeGreaterThan(4);
      expect(ends['REVOKED']).toBeGreaterThan(0);
      expect(ends[life.end]).toBeGreaterThan(0);
    },
    120_000,
  );
});
