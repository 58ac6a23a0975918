import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { mulberry32 } from '../test/support/reference/random.js';
import { play } from './actor-process.js';
import { Reserve } from './actors.js';
import { drill, SHORT } from './drill.js';
import { failOver } from './failover.js';
import { Lane, type Notes } from './lane.js';
import { writeReport } from './markdown.js';
import { round } from './random.js';
import { Report } from './report.js';
import { SCENARIOS } from './scenarios/all.js';
import { inTurns, shuffled } from './shuffle.js';
import { OwnRedis } from './site.js';
import { LOSSES, type Loss, WatchedRedis } from './watched-redis.js';
import { type Case, casesOf, labelOf, run } from './systematic.js';

/**
 * `npm run torture -- --seed 1 --minutes 5`
 *
 * Faults at every command of what chords do, on real processes and Redis servers of its own. Ends with 1 if anything was wrong.
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
    /** Faults whose names contain this; the random part draws among all. */
    fault: { type: 'string', default: '' },
    /** One case, by the label that it was reported with. */
    case: { type: 'string' },
    /** The share of the time for systematic cases; random canvases get the rest. */
    systematic: { type: 'string', default: '0.5' },
    /** The share of the time for fail-overs, by Sentinels of its own. */
    failover: { type: 'string', default: '0.1' },
    /** Every systematic case once, however long that takes, and nothing else. */
    sweep: { type: 'boolean', default: false },
    /** A file with a place for the report, such as docs/torture.md. */
    write: { type: 'string' },
    lanes: { type: 'string', default: '3' },
  },
});

/** Longer than any clock is wrong. */
const DAY_MS = 86_400_000;

/** How long results are kept is a part of the run that has a bound on either side: what ends is looked at within it, and gone after it. */
const SHARE_OF_RUN = 1 / 3;
const KEPT_MS = { least: 15_000, most: 60_000 } as const;

/** A sweep goes on for an hour: it says how far it is after so many cases. */
const PROGRESS = 500;

/** One canvas at a time has hardly to wait; among many on a busy machine, nobody should lose a lock without a fault. */
const IMPATIENT = { lockMs: 600, stalledMs: 200 } as const;
const PATIENT = { lockMs: 2_000, stalledMs: 500 } as const;

const seed = Number(options.seed);
const minutes = Number(options.minutes);
const report = new Report(seed, keptMs());
/** What it took to count the commands of every path, which is not of the time that was asked for. */
let preparedMs = 0;

async function main(): Promise<void> {
  // The Redis that the suite is given has the notes; every lane starts one of its own.
  const url = process.env.REDIS_URL ?? '';
  const notes: Notes = { url, redis: new Redis(url) };
  const version = /redis_version:(\S+)/.exec(await notes.redis.info('server'))?.[1] ?? 'unknown';
  const reserve = new Reserve(2);
  await systematic(notes, reserve, options.sweep ? Infinity : minutes * Number(options.systematic));
  if (options.case === undefined && !options.sweep) {
    await failovers(notes, reserve, minutes * (Number(options.systematic) + Number(options.failover)));
    await Promise.all([random(notes, reserve), selfTest(notes, reserve)]);
  }
  await Promise.all(parting);
  await reserve.end();
  notes.redis.disconnect();
  process.stdout.write(`${report.summary()}\n`);
  if (options.write !== undefined) writeReport(options.write, report, version);
  process.exitCode = report.wrong > 0 ? 1 : 0;
}

/** Every fault at every command, in an order by chance, for so long. */
async function systematic(notes: Notes, reserve: Reserve, forMinutes: number): Promise<void> {
  const lanes = await Promise.all(
    Array.from({ length: Number(options.lanes) }, async (_, at) =>
      Lane.start(`lane${at}`, await OwnRedis.start(), notes, reserve, { ...IMPATIENT, expiresMs: keptMs() }),
    ),
  );
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
  preparedMs = Date.now() - report.begun;
  const wanted = cases
    .filter((one) => options.case === undefined || labelOf(one) === options.case)
    .filter(({ fault }) => fault.name.includes(options.fault));
  process.stdout.write(`${wanted.length} cases of ${cases.length}\n`);
  await inLanes(
    lanes,
    inTurns(shuffled(wanted, mulberry32(seed)), ({ fault }) => fault),
    () => isOver(forMinutes),
    async (one, lane) => {
      await run(one, lane, report);
      report.expired(await lane.expiry.look());
      if (report.canvases % PROGRESS === 0) process.stdout.write(`${report.summary()}\n`);
    },
  );
  for (const lane of lanes) part(lane);
  process.stdout.write(`${report.summary()}\n`);
}

/** Lanes that have nothing more to do. */
const parting: Promise<void>[] = [];

/** Waits beside the rest until everything of a lane has gone. */
function part(lane: Lane): void {
  const parted = lane.expiry.end().then((remains) => {
    report.expired(remains);
    return lane.end();
  });
  // Whoever waits for it hears of it.
  parted.catch(() => undefined);
  parting.push(parted);
}

/** One fail-over after the other, as often as there is time. */
async function failovers(notes: Notes, reserve: Reserve, untilMinutes: number): Promise<void> {
  const chance = mulberry32(seed);
  const losses = shuffled(LOSSES, chance);
  for (let turn = 0; !isOver(untilMinutes); turn++) {
    const site = await WatchedRedis.start();
    // What has gone would be taken for forgotten.
    const patience = { ...PATIENT, expiresMs: DAY_MS };
    const lane = await Lane.start(`failover${turn}`, site, notes, reserve, patience, [3, 2]);
    await failOver(lane, site, losses[turn % losses.length] as Loss, chance, report);
    await lane.end();
    process.stdout.write(`${report.summary()}\n`);
  }
}

async function random(notes: Notes, reserve: Reserve): Promise<void> {
  const patience = { ...PATIENT, expiresMs: keptMs() };
  const lane = await Lane.start('random', await OwnRedis.start(), notes, reserve, patience, [3, 2]);
  const chance = mulberry32(seed);
  while (!isOver(minutes)) {
    await round(lane, chance, options.only, () => isOver(minutes), report);
    report.slowed('a round of random canvases', lane.slowMs());
    report.expired(await lane.expiry.look());
    process.stdout.write(`${report.summary()}\n`);
  }
  part(lane);
}

/** Whether it notices what it is there for, beside the rest: most of it is waiting. */
async function selfTest(notes: Notes, reserve: Reserve): Promise<void> {
  const patience = { ...IMPATIENT, expiresMs: DAY_MS, bounds: SHORT };
  const lane = await Lane.start('drill', await OwnRedis.start(), notes, reserve, patience);
  await drill(lane, report);
  await lane.end();
}

function keptMs(): number {
  if (options.sweep) return KEPT_MS.most;
  if (options.case !== undefined) return KEPT_MS.least;
  return Math.min(KEPT_MS.most, Math.max(KEPT_MS.least, minutes * 60_000 * SHARE_OF_RUN));
}

const isOver = (afterMinutes: number): boolean =>
  Date.now() > report.begun + preparedMs + afterMinutes * 60_000 || report.canvases >= Number(options.cases);

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

if (options.as === 'main') await main();
else play();
