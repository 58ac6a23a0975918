import { isDeepStrictEqual } from 'node:util';
import type { RedisBackend } from '../../libs/task-queue/src/broker/redis-backend.js';
import { BrokerUnavailableError } from 'nestjs-task-queue';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';
import { inTurns, redisUrl } from '../support/canvas-runner.js';
import { Duplicates, forgeEnds } from '../support/duplicates.js';
import { CanvasRunner } from '../support/reference-runner.js';
import { RandomCanvases, randomCases } from '../support/random-canvases.js';
import { canvasOf } from '../support/reference/canvas-of.js';
import { mulberry32 } from '../support/reference/random.js';
import { render } from '../support/reference/render.js';

/**
 * The same random canvases, while the steps of their nodes are cut off everywhere: before a write of theirs, after
 * it (the answer is lost), or with the lock in somebody else's hands (a worker that was paused for too long). What
 * the handlers do is untouched, so every one of them has to run exactly as often as without any of this.
 *
 * CANVAS_CASES and CANVAS_SEED as in random-canvas.int-spec.ts; the faults themselves come at random times.
 */
const CASES = Math.ceil(Number(process.env['CANVAS_CASES'] ?? 2_000) / 20);
const FIRST_SEED = Number(process.env['CANVAS_SEED'] ?? 1);
/** How often a call meets with a fault. */
const FAULT_RATE = 0.08;

type Call = (...args: never[]) => Promise<unknown>;
type Fault = 'before' | 'after' | 'stolen';
interface Holder {
  readonly id: string;
  readonly queue: string;
}

jest.setTimeout(120_000 + CASES * 1_000);

describe('random canvases whose nodes are cut off', () => {
  let runner: CanvasRunner;
  beforeEach(async () => {
    runner = await CanvasRunner.start({
      worker: { canvasConcurrency: 50, lockDuration: 3_000, stalledInterval: 500 },
      // Every value stays where it came about, and is read from there.
      limits: { inlineCharacters: 1 },
    });
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await runner.app.close();
  });

  it(`do what the semantics say, seeds ${FIRST_SEED} to ${FIRST_SEED + CASES - 1}`, async () => {
    const faults = injectFaults(runner);
    const ids = new Map<number, string>();
    const seeds = Array.from({ length: CASES }, (_, at) => FIRST_SEED + at);

    await inTurns(seeds, 60, async (seed) => {
      const end = await runner
        .run(canvasOf(seed), 'data', 120_000)
        .catch((error: unknown) => `no end: ${String(error)}`);
      ids.set(seed, end);
    });
    await runner.app.quiet();
    // What nodes do is disturbed, not those who look at it.
    jest.restoreAllMocks();

    const wrong: string[] = [];
    await inTurns([...ids], 20, async ([seed, id]) => {
      const seen = id.startsWith('no end') ? id : await runner.seen(id);
      if (isDeepStrictEqual(seen, CanvasRunner.expected(canvasOf(seed)))) return;
      wrong.push(`seed ${seed}: ${render(canvasOf(seed))}\n${JSON.stringify(seen, undefined, 1)}`);
    });
    expect(wrong).toEqual([]);
    for (const kind of ['before', 'after', 'stolen'] as const)
      expect(faults[kind]).toBeGreaterThan(CASES / 20);
  });
});

describe('random canvases whose jobs are handed out twice', () => {
  let runner: CanvasRunner;
  afterEach(async () => {
    jest.restoreAllMocks();
    await runner.app.close();
  });

  it(`do what the semantics say, seeds ${FIRST_SEED} to ${FIRST_SEED + CASES - 1}`, async () => {
    const duplicates = Duplicates.onRedis(0.08, () => runner.app);
    runner = await CanvasRunner.start({
      // Losing jobs is what this is about; how often one may be lost is not.
      worker: { canvasConcurrency: 50, stalledInterval: 300, maxTimesLost: 90 },
    });
    const canvases = new RandomCanvases(runner, false, duplicates);
    const cases = randomCases(FIRST_SEED, CASES).filter(({ revocation }) => revocation === undefined);
    let isOver = false;
    const running = canvases.runAll(cases).finally(() => (isOver = true));
    const believed: string[] = [];
    while (!isOver) {
      believed.push(...(await forgeEnds(runner.app, redisUrl())));
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    const ids = await running;
    await runner.app.quiet();

    const wrong = await canvases.disagreements(ids);
    if (wrong.length > 0) throw new Error(await canvases.explain(wrong));
    expect(believed).toEqual([]);
    for (const count of Object.values(duplicates.counts)) expect(count).toBeGreaterThan(CASES / 20);
  });
});

/** Lets calls that nodes make fail now and then. @returns how many faults of each kind there were so far */
function injectFaults(runner: CanvasRunner): Record<Fault, number> {
  const { ledger, publisher, backend } = runner.app.module.get(TaskQueueEngine);
  const { keys } = backend as RedisBackend;
  const random = mulberry32(FIRST_SEED);
  const counts: Record<Fault, number> = { before: 0, after: 0, stolen: 0 };

  const disturb = (owner: object, method: string, byHolder: boolean): void => {
    const target = owner as Record<string, Call>;
    const call = (target[method] as Call).bind(owner);
    jest.spyOn(target, method).mockImplementation(async (...args: never[]) => {
      const fault = random() < FAULT_RATE ? pick(random, byHolder) : undefined;
      if (fault === undefined) return call(...args);
      counts[fault] += 1;
      if (fault === 'before') throw new BrokerUnavailableError('cut off before');
      if (fault === 'stolen') {
        const [{ id, queue }] = args as unknown as [Holder];
        await runner.app.redis.set(`${keys.job(queue, id)}:lock`, 'somebody else', 'PX', 50);
        return call(...args);
      }
      await call(...args);
      throw new BrokerUnavailableError('cut off after');
    });
  };

  for (const method of ['readNode', 'readChild']) disturb(ledger, method, false);
  for (const method of ['setStage', 'settleFailure', 'decideOnce', 'startExpiry'])
    disturb(ledger, method, true);
  disturb(publisher, 'publishUnder', true);
  disturb(publisher, 'publishOnce', false);
  return counts;
}

function pick(random: () => number, byHolder: boolean): Fault {
  const share = random();
  if (share < 0.4) return 'before';
  return share < 0.75 || !byHolder ? 'after' : 'stolen';
}
