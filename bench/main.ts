import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { enhancers } from './enhancers.js';
import { compare, type Comparison, type Finding, median } from './measure.js';
import { noOpTasks } from './no-op-tasks.js';
import { report } from './report.js';
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
];

const rounds = Number(options.rounds);
const findings: Finding[] = [];
for (const comparison of COMPARISONS.filter(({ name }) => name.includes(options.only))) {
  process.stdout.write(`${comparison.name} … `);
  const finding = await compare(comparison, rounds);
  findings.push(finding);
  console.log(
    `ratio ${median(finding.ratios).toFixed(2)} [${finding.ratios.map((ratio) => ratio.toFixed(2)).join(' ')}], ` +
      `${micros(finding.referenceMs, comparison)} → ${micros(finding.oursMs, comparison)} µs a ${comparison.unit}`,
  );
}
if (!options['no-write']) writeFileSync('bench/RESULTS.md', await report(findings, rounds));

function micros(ms: readonly number[], { units }: Comparison): string {
  return ((median(ms) / units) * 1_000).toFixed(1);
}
