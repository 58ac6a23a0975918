/** Rate limits over several workers, and the script that keeps them; what a task sees of them: the conformance suite. */
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Task } from 'nestjs-task-queue';
import { HOLD_LINE, TAKE_SLOT } from '../../libs/task-queue/src/broker/scripts/rate-slots.js';
import { COUNT_FIRST, SPEND_RETRY } from '../../libs/task-queue/src/broker/scripts/retry-budget.js';
import { runScript } from '../../libs/task-queue/src/broker/scripts/script.js';
import { countIn, NO_COUNTS } from '../../libs/task-queue/src/primitives/window-counts.js';
import { EMPTY_LINE, holdLine, takeSlot } from '../../libs/task-queue/src/rate-limit/take-slot.js';
import { spendRetry } from '../../libs/task-queue/src/retry/retry-budget.js';
import { Runs, uniquePrefix, useApps } from '../support/app-fixture.js';

const fixture = useApps();
const WITHIN_MS = 60_000;

@Injectable()
class Calls {
  constructor(private readonly runs: Runs) {}

  @Task({ rateLimit: { limit: 25, per: '1s' } })
  limited(n: number): void {
    this.runs.record('limited', { n, at: performance.now() });
  }

  @Task()
  free(n: number): void {
    this.runs.record('free', n);
  }
}

/** Park and Miller's generator: the same sequence for a seed, everywhere. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => (state = (state * 48_271) % 2_147_483_647) % below;
}

it.each([1, 2, 3, 4, 5, 6])(
  'the script answers as the decision does, whoever asks when (seed %d)',
  async (seed) => {
    const below = numbers(seed);
    const key = `{${uniquePrefix('rate')}:0}:_rate:x`;
    const rate = { intervalMs: 1 + below(400) / 7, toleranceMs: below(3) * 50 };
    let kept = EMPTY_LINE;
    let nowMs = 1_700_000_000_000;
    const slots: number[] = [];
    for (let turn = 0; turn < 300; turn++) {
      nowMs += below(40);
      if (below(20) === 0) {
        const ms = below(500);
        kept = holdLine(kept, rate, nowMs + ms);
        await runScript(fixture.redis, HOLD_LINE, [key], [nowMs, rate.intervalMs, rate.toleranceMs, ms]);
        continue;
      }
      const slot = below(2) === 0 ? slots.splice(below(slots.length + 1), 1)[0] : undefined;
      const [line, expected] = takeSlot(kept, rate, nowMs, slot);
      kept = line;
      const args = [nowMs, rate.intervalMs, rate.toleranceMs, slot ?? ''];
      const reply = (await runScript(fixture.redis, TAKE_SLOT, [key], args)) as [string, number] | null;
      const answer = reply === null ? { go: true } : { go: false, slot: Number(reply[0]) };
      expect({ turn, ...answer }).toEqual({ turn, ...expected });
      if (!expected.go) {
        slots.push(expected.slot);
        expect(reply?.[1]).toBe(Math.ceil(expected.slot - nowMs));
      }
    }
    expect(await fixture.redis.pttl(key)).toBeGreaterThan(0);
    await fixture.redis.del(key);
  },
);

it.each([1, 2, 3])('the script of retry budgets answers as the decision does (seed %d)', async (seed) => {
  const below = numbers(seed);
  const key = `{${uniquePrefix('retries')}:0}:_retries:x`;
  const rule = { partMs: 10 + below(500) / 7, share: below(30) / 100, floor: 1 + below(5) };
  let kept = NO_COUNTS;
  let nowMs = 1_700_000_000_000;
  let granted = 0;
  for (let turn = 0; turn < 400; turn++) {
    nowMs += below(4) === 0 ? below(300) : below(10);
    if (below(2) === 0) {
      kept = countIn(kept, rule.partMs, nowMs, { all: 1, some: 0 });
      await runScript(fixture.redis, COUNT_FIRST, [key], [nowMs, rule.partMs]);
      continue;
    }
    const [next, expected] = spendRetry(kept, rule, nowMs);
    kept = next;
    if (expected === undefined) granted += 1;
    const reply = await runScript(
      fixture.redis,
      SPEND_RETRY,
      [key],
      [nowMs, rule.partMs, rule.share, rule.floor],
    );
    expect({ turn, wait: reply }).toEqual({ turn, wait: expected ?? null });
    expect(await fixture.redis.hlen(key)).toBeLessThanOrEqual(2 * 11);
  }
  expect(granted).toBeGreaterThan(5);
  expect(await fixture.redis.pttl(key)).toBeGreaterThan(0);
  await fixture.redis.del(key);
});

it('workers of several applications keep to one limit, and each task comes back once', async () => {
  const producer = await fixture.boot({ providers: [Calls], options: { role: 'producer' } });
  const spec = { prefix: producer.prefix, providers: [Calls], options: { role: 'worker' as const } };
  const workers = await Promise.all([fixture.boot(spec), fixture.boot(spec), fixture.boot(spec)]);
  const tasks = producer.workflows.tasks(Calls);
  const count = 30;
  await Promise.all(Array.from({ length: count }, (_, n) => tasks.limited.delay(n)));
  await Promise.all(Array.from({ length: count }, (_, n) => tasks.free.delay(n)));

  const done = () => workers.flatMap(({ runs }) => runs.of('limited') as { n: number; at: number }[]);
  const deadline = Date.now() + WITHIN_MS;
  while (done().length < count && Date.now() < deadline) await pause(20);
  const starts = done()
    .map(({ at }) => at)
    .sort((one, other) => one - other);
  expect(
    done()
      .map(({ n }) => n)
      .sort((one, other) => one - other),
  ).toEqual(starts.map((_, n) => n));
  // 29 intervals of 40 ms; the first may begin a while after it was let in.
  expect((starts[count - 1] ?? 0) - (starts[0] ?? 0)).toBeGreaterThan(800);
  // Those without a limit did not wait for the others.
  expect(workers.flatMap(({ runs }) => runs.of('free'))).toHaveLength(count);
});
