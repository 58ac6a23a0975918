/** Breakers over several worker processes, the scripts that keep them, and their health; what a task sees of them: the conformance suite. */
import { Injectable } from '@nestjs/common';
import { Breaker, Task } from 'nestjs-task-queue';
import { TaskQueueHealth, TaskQueueHealthModule } from 'nestjs-task-queue/health';
import { readBreaker } from '../../libs/task-queue/src/breaker/breaker-options.js';
import {
  askBreaker,
  type BreakerAnswer,
  type BreakerChange,
  closeBreaker,
  FOREVER,
  FRESH_BREAKER,
  openBreaker,
  reportToBreaker,
} from '../../libs/task-queue/src/breaker/breaker-state.js';
import {
  ASK_BREAKER,
  READ_BREAKER,
  REPORT_TO_BREAKER,
  RESET_BREAKER,
  TRIP_BREAKER,
} from '../../libs/task-queue/src/broker/scripts/breaker.js';
import { runScript, type Script } from '../../libs/task-queue/src/broker/scripts/script.js';
import { redisUrl, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';
import { GuardedTasks } from '../support/workers/guarded-tasks.js';

const fixture = useApps();

/** Park and Miller's generator: the same sequence for a seed, everywhere. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => (state = (state * 48_271) % 2_147_483_647) % below;
}

type ChangeReply = [string, string, string] | null | undefined;
const changeIn = (reply: ChangeReply): BreakerChange | undefined =>
  reply
    ? ({
        to: reply[0],
        why: reply[2],
        ...(reply[1] === '' ? {} : { untilMs: Number(reply[1]) }),
      } as BreakerChange)
    : undefined;

function answerIn([go, first, isProbe, change]: [number, string, number, ChangeReply]): BreakerAnswer {
  const changed = changeIn(change);
  return {
    ...(go === 1
      ? { go: true as const, epoch: Number(first), isProbe: isProbe === 1 }
      : { go: false as const, waitMs: Number(first) }),
    ...(changed === undefined ? {} : { change: changed }),
  };
}

it.each([1, 2, 3, 4, 5, 6])(
  'the scripts answer as the state machine does, whoever asks and reports when (seed %d)',
  async (seed) => {
    const below = numbers(seed);
    const prefix = uniquePrefix('breaker');
    const [key, set] = [`{${prefix}:0}:_breaker:api`, `{${prefix}:0}:_breakers`];
    const { rule } = readBreaker('api', {
      threshold: 1 + below(4),
      share: (1 + below(10)) / 10,
      within: 500 + below(2_000),
      openFor: 50 + below(300),
      probes: `${1 + below(40)}/s`,
      closeAfter: 1 + below(3),
      release: `${1 + below(300)}/s`,
    });
    let nowMs = 1_700_000_000_000;
    const run = (script: Script, ...args: (string | number)[]) =>
      runScript(fixture.redis, script, [key, set], ['api', nowMs, ...args]);
    let kept = FRESH_BREAKER;
    const epochs: number[] = [];
    const phases = new Set<string>();
    for (let turn = 0; turn < 400; turn++) {
      nowMs += below(3) === 0 ? below(200) : below(10);
      const what = below(100);
      if (what < 55) {
        const [next, expected] = askBreaker(kept, rule, nowMs);
        kept = next;
        const { partMs, openMs, probeMs, releaseMs } = rule;
        const reply = await run(ASK_BREAKER, partMs, openMs, probeMs, releaseMs);
        expect({ turn, ...answerIn(reply as never) }).toEqual({ turn, ...expected });
        if (expected.go) epochs.push(expected.epoch);
      } else if (what < 97) {
        const epoch = epochs.splice(below(epochs.length + 1), 1)[0] ?? kept.epoch;
        const failed = below(5) < 3;
        const [next, expected] = reportToBreaker(kept, rule, nowMs, { epoch, failed });
        kept = next;
        const { threshold, share, partMs, openMs, closeAfter } = rule;
        const args = [epoch, failed ? 1 : 0, threshold, share, partMs, openMs, closeAfter];
        const reply = await run(REPORT_TO_BREAKER, ...args);
        expect({ turn, change: changeIn(reply as ChangeReply) }).toEqual({ turn, change: expected });
      } else if (what < 98) {
        const ms = below(2) === 0 ? undefined : below(500);
        kept = openBreaker(kept, nowMs, ms === undefined ? FOREVER : nowMs + ms, 'by hand');
        await run(TRIP_BREAKER, ms ?? '', 'by hand');
      } else {
        if (kept.phase !== 'closed') kept = closeBreaker(kept, nowMs);
        await run(RESET_BREAKER);
      }
      const [phase, epoch, untilMs, why] = (await run(READ_BREAKER)) as [string, string, string, string];
      expect({ turn, phase, epoch: Number(epoch), untilMs: Number(untilMs), why }).toEqual({
        turn,
        phase: kept.phase,
        epoch: kept.epoch,
        untilMs: kept.untilMs,
        why: kept.why,
      });
      expect(await fixture.redis.sismember(set, 'api')).toBe(kept.phase === 'closed' ? 0 : 1);
      expect(await fixture.redis.hlen(key)).toBeLessThanOrEqual(7 + 2 * 11);
      phases.add(phase);
    }
    expect([...phases].sort()).toEqual(['closed', 'half-open', 'open']);
    await fixture.redis.del(key, set);
  },
);

describe('a breaker that several worker processes share', () => {
  const workers: WorkerProcess[] = [];
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.end()));
  });

  it('keeps all of them from a resource that is down, and lets its tasks through when it is up, in one attempt each that counts', async () => {
    const prefix = uniquePrefix('breaker');
    const producer = await fixture.boot({
      prefix,
      providers: [{ provide: 'RESOURCE', useValue: undefined }, GuardedTasks],
      options: { role: 'producer' },
    });
    const { breakers } = producer.workflows;
    const options = {
      url: redisUrl(),
      prefix,
      options: {
        queues: { guarded: { concurrency: 4 } },
        worker: { lockDuration: 2_000, stalledInterval: 1_000 },
      },
    };
    workers.push(
      ...(await Promise.all([
        WorkerProcess.start('guarded-worker', options),
        WorkerProcess.start('guarded-worker', options),
      ])),
    );
    const calls = async (state: 'up' | 'down'): Promise<Record<string, number>> =>
      Object.fromEntries(
        Object.entries(await fixture.redis.hgetall(`calls:${prefix}`))
          .filter(([field]) => field.startsWith(state))
          .map(([field, count]) => [field.slice(state.length + 1), Number(count)]),
      );
    const total = (counts: Record<string, number>) =>
      Object.values(counts).reduce((sum, count) => sum + count, 0);

    const tasks = producer.workflows.tasks(GuardedTasks);
    const handles = await Promise.all(Array.from({ length: 40 }, (_, n) => tasks.call.delay(n)));
    // Probes of both workers open it again and again.
    let cycles = 0;
    let since: string | undefined;
    await until(async () => {
      const state = await breakers.get('api');
      if (state.state === 'open' && state.since !== since) {
        cycles += 1;
        since = state.since;
      }
      return cycles >= 4;
    }, 'it has opened four times');
    // Three that open it, what runs beside them on eight slots, and the probes: not 40 tasks again and again.
    const whileDown = total(await calls('down'));
    expect(whileDown).toBeGreaterThanOrEqual(3 + 3);
    expect(whileDown).toBeLessThanOrEqual(3 + 8 + 9 * (cycles + 40));

    // Opened for good, it is called no more, by nobody; and a worker that dies does not change that.
    await breakers.trip('api', { why: 'maintenance' });
    await workers[0]?.end();
    const looks = async () => Number(await fixture.redis.zcard(`{${prefix}:0}:guarded:delayed`));
    await until(
      async () => (await looks()) >= 36,
      'those that ran have ended, the others are parked',
      90_000,
    );
    await until(async () => (await looks()) === 40, 'the lost ones are parked too', 90_000);
    const before = total(await calls('down'));
    expect(await breakers.list()).toEqual([
      expect.objectContaining({ name: 'api', state: 'open', why: 'maintenance' }),
    ]);
    const deadline = Date.now() + 1_000; // three times the time after which they look again
    await until(() => Date.now() > deadline, 'they have looked again');
    expect(total(await calls('down'))).toBe(before);

    await fixture.redis.set(`up:${prefix}`, '1');
    expect(await breakers.reset('api')).toBe(true);
    const retries = await Promise.all(handles.map((handle) => handle.get({ timeout: '60s' })));
    // What was parked has spent nothing: the retries are the calls that failed.
    expect(retries.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(before);
    expect(total(await calls('up'))).toBe(40);
    expect(Object.keys({ ...(await calls('up')), ...(await calls('down')) })).toHaveLength(2);
    expect(await breakers.get('api')).toMatchObject({ state: 'closed' });
    await fixture.redis.del(`calls:${prefix}`, `up:${prefix}`);
  });
});

@Injectable()
class Guarded {
  @Task()
  @Breaker('shop')
  call(): void {}
}

it('health says which breakers are not closed', async () => {
  const { app, workflows, prefix } = await fixture.boot({
    providers: [Guarded],
    imports: [TaskQueueHealthModule],
  });
  const other = await fixture.boot({ prefix, options: { role: 'producer' } });
  const health = app.get(TaskQueueHealth);
  expect(await health.breakers()).toEqual({ status: 'up', details: { breakers: { shop: 'closed' } } });

  await other.workflows.breakers.trip('shop', { why: 'maintenance' });
  await other.workflows.breakers.trip('elsewhere', { for: 1 });
  expect(await workflows.breakers.list()).toEqual([
    expect.objectContaining({ name: 'elsewhere', until: expect.any(String) as string }),
    { name: 'shop', state: 'open', since: expect.any(String) as string, why: 'maintenance' },
  ]);
  const reason = expect.stringMatching(/^breaker shop is open since .*: maintenance$/) as string;
  expect(await health.breakers()).toMatchObject({
    status: 'degraded',
    reasons: expect.arrayContaining([reason]) as string[],
    details: { breakers: { elsewhere: 'open', shop: 'open' } },
  });
  expect(await health.breakers({ open: 'down' })).toMatchObject({ status: 'down' });
  expect(await health.breakers({ open: 'ignored' })).toMatchObject({ status: 'up' });
  expect((await health.check()).reasons).toContainEqual(
    expect.stringContaining('breakers: breaker shop is open'),
  );

  expect(await other.workflows.breakers.reset('shop')).toBe(true);
  expect(await other.workflows.breakers.reset('shop')).toBe(false);
  expect(await workflows.breakers.reset('elsewhere')).toBe(true);
  expect(await health.breakers()).toMatchObject({ status: 'up' });
});
