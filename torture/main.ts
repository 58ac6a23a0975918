import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { mulberry32 } from '../test/support/reference/random.js';
import { play } from './actor-process.js';
import { Reserve } from './actors.js';
import { Lane } from './lane.js';
import { Report } from './report.js';
import { SCENARIOS } from './scenarios/all.js';
import { type Case, casesOf, labelOf, run } from './systematic.js';

/**
 * `npm run torture -- --seed 1 --minutes 5`
 *
 * Faults at every command of what chords do, on real processes and a real Redis of its own. Ends with 1 if anything was wrong.
 */
const { values: options } = parseArgs({
  options: {
    /** What this process is. */
    as: { type: 'string', default: 'main' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    minutes: { type: 'string', default: '5' },
    /** Ends after so many canvases. */
    cases: { type: 'string', default: 'Infinity' },
    /** Scenarios whose names contain this. */
    only: { type: 'string', default: '' },
    /** One case, by the label that it was reported with. */
    case: { type: 'string' },
    lanes: { type: 'string', default: '3' },
  },
});

async function main(): Promise<void> {
  const url = process.env.REDIS_URL ?? '';
  const redis = new Redis(url);
  const seed = Number(options.seed);
  const report = new Report(seed);
  const until = Date.now() + Number(options.minutes) * 60_000;
  const reserve = new Reserve(url, 2);
  const lanes = await Promise.all(
    Array.from({ length: Number(options.lanes) }, (_, at) => Lane.start(`lane${at}`, url, redis, reserve)),
  );
  const isOver = (): boolean => Date.now() > until || report.canvases >= Number(options.cases);

  const cases: Case[] = [];
  const scenarios = SCENARIOS.filter(({ name }) => name.includes(options.only));
  await inLanes(
    lanes,
    scenarios,
    () => false,
    async (scenario, lane) => {
      cases.push(...(await casesOf(scenario, lane)));
    },
  );
  const wanted = cases.filter((one) => options.case === undefined || labelOf(one) === options.case);
  process.stdout.write(`${wanted.length} cases\n`);
  await inLanes(lanes, shuffled(wanted, mulberry32(seed)), isOver, (one, lane) => run(one, lane, report));

  await Promise.all(lanes.map((lane) => lane.end()));
  await reserve.end();
  redis.disconnect();
  process.stdout.write(`${report.summary()}\n`);
  process.exitCode = report.wrong > 0 ? 1 : 0;
}

/** Each lane takes one item after the other. */
async function inLanes<T>(
  lanes: readonly Lane[],
  items: readonly T[],
  isOver: () => boolean,
  work: (item: T, lane: Lane) => Promise<void>,
): Promise<void> {
  const left = [...items];
  await Promise.all(
    lanes.map(async (lane) => {
      for (let next = left.shift(); next !== undefined && !isOver(); next = left.shift())
        await work(next, lane);
    }),
  );
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

if (options.as === 'main') await main();
else play();
