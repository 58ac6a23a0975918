import { existsSync, readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { Redis } from 'ioredis';
import { type Finding, median, ratios, type Timed } from './measure.js';
import { REDIS_URL } from './redis-url.js';
import type { Cost } from './stopwatch.js';

const number = (value: number, digits = 0): string =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** bench/RESULTS.md: ratios first, because rates say more about the machine than about the code. */
export async function report(findings: readonly Finding[], rounds: number): Promise<string> {
  const rows = findings.map((finding) => {
    const { comparison, reference, ours } = finding;
    const wall = (costs: readonly Cost[]): string => {
      const ms = median(costs.map((cost) => cost.ms));
      return `${number(ms)} ms (${number(comparison.units / (ms / 1000))}/s)`;
    };
    const all = ratios(finding, 'ms');
    const spread = `${number(Math.min(...all), 2)}–${number(Math.max(...all), 2)}`;
    const processor = (of: Timed): string => {
      const values = ratios(finding, of);
      return values.length === 0 ? '' : number(median(values), 2);
    };
    return (
      `| ${comparison.name} | **${number(median(all), 2)}** | ${spread} | ${processor('nodeMs')} | ${processor('redisMs')} | ` +
      `${wall(reference)} | ${wall(ours)} | ${comparison.goal} |`
    );
  });
  return [
    '# Benchmark results',
    '',
    'Written by `npm run bench`. A ratio is our time divided by that of the reference in the same round; below 1 we',
    `are faster. Median and spread of ${rounds} paired rounds; who begins changes from round to round. Each side`,
    'runs in a process of its own, which an uncounted round has warmed.',
    '',
    'Node and Redis are ratios of processor time, of that process and of the main thread of the server: they tell apart',
    'what the work takes from what it waits for on a shared machine.',
    '',
    '| work | ratio | spread | Node | Redis | reference | nestjs-task-queue | goal |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
    '## Machine',
    '',
    ...(await machine()).map((line) => `- ${line}`),
    '',
    ...wideHeaders(),
  ].join('\n');
}

/** What `npm run bench:wide` was seen to print stands in the same file, and stays. */
function wideHeaders(): string[] {
  const written = existsSync(FILE) ? readFileSync(FILE, 'utf8') : '';
  const at = written.indexOf('## Wide headers');
  return at < 0 ? [] : [written.slice(at)];
}

const FILE = 'bench/RESULTS.md';

async function machine(): Promise<string[]> {
  const redis = new Redis(REDIS_URL);
  const info = await redis.info('server');
  redis.disconnect();
  const version = (name: string): string => {
    const path = `node_modules/${name}/package.json`;
    return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
  };
  return [
    `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown'}, ${number(totalmem() / 2 ** 30)} GiB, shared with Redis and other work`,
    `Node ${process.version}, Redis ${/redis_version:(\S+)/.exec(info)?.[1] ?? '?'}`,
    `BullMQ ${version('bullmq')}, ioredis ${version('ioredis')}, NestJS ${version('@nestjs/core')}`,
  ];
}
