import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { enhancers } from './enhancers.js';
import { compare, type Comparison, type Finding, median, ratios } from './measure.js';
import { noOpTasks } from './no-op-tasks.js';
import { processPool } from './process-pool.js';
import { report } from './report.js';
import type { Cost } from './stopwatch.js';
import { wideChord } from './wide-chord.js';

/** `npm run bench -- --rounds 5 --only chord --no-write` */
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    'no-write': { type: 'boolean', default: false },
  },
});

const COMPARISONS: readonly Comparison[] = [
  noOpTasks(20_000, true),
  noOpTasks(20_000, false),
  wideChord(1_000, 'at most 0.84'),
  wideChord(10_000, 'at most 0.70'),
  ...enhancers(100_000),
  processPool(1_000),
];

const rounds = Number(options.rounds);
const findings: Finding[] = [];
for (const comparison of COMPARISONS.filter(({ name }) => name.includes(options.only))) {
  process.stdout.write(`${comparison.name} … `);
  const finding = await compare(comparison, rounds);
  findings.push(finding);
  const all = ratios(finding, 'ms');
  console.log(
    `ratio ${median(all).toFixed(2)} [${all.map((ratio) => ratio.toFixed(2)).join(' ')}], ` +
      `processor time ${median(ratios(finding, 'nodeMs')).toFixed(2)} here, ` +
      `${median(ratios(finding, 'redisMs')).toFixed(2)} in Redis; ` +
      `µs a ${comparison.unit}: ${micros(finding.reference, comparison)} → ${micros(finding.ours, comparison)}`,
  );
}
if (!options['no-write']) writeFileSync('bench/RESULTS.md', await report(findings, rounds));

/** On the wall, here and in Redis. */
function micros(costs: readonly Cost[], { units }: Comparison): string {
  const of = (field: keyof Cost): string =>
    ((median(costs.flatMap((cost) => cost[field] ?? [])) / units) * 1_000).toFixed(1);
  return `${of('ms')}/${of('nodeMs')}/${of('redisMs')}`;
}
