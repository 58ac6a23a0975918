import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { findCelery } from './celery.js';
import { comparisons } from './comparisons.js';
import { compare, type Comparison, type Finding, median, ratios, type Timed } from './measure.js';
import type { Shares } from './profile.js';
import { report } from './report.js';
import type { Cost } from './stopwatch.js';

/**
 * `npm run bench -- --rounds 5 --only chord --no-write`
 *
 * With `--profile` it also tells whose code the time of this process went to; nothing is written then, as sampling
 * costs time of its own.
 */
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    'no-write': { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
  },
});

const celery = findCelery();
if (celery === undefined) console.log('Celery is not installed here, and not compared with.');

const rounds = Number(options.rounds);
const findings: Finding[] = [];
for (const comparison of comparisons(celery).filter(({ name }) => name.includes(options.only))) {
  process.stdout.write(`${comparison.name} … `);
  const finding = await compare(comparison, rounds, options.profile);
  findings.push(finding);
  const all = ratios(finding, 'ms');
  const micros = (costs: readonly Cost[]): string => microsOf(costs, comparison);
  console.log(
    `ratio ${median(all).toFixed(2)} [${all.map((ratio) => ratio.toFixed(2)).join(' ')}], ` +
      `processor time ${shown(ratios(finding, 'nodeMs'), 2)} here, ${shown(ratios(finding, 'redisMs'), 2)} in Redis; ` +
      `µs a ${comparison.unit}: ${micros(finding.reference)} → ${micros(finding.ours)}`,
  );
  if (options.profile) {
    tell('reference', finding.reference.at(-1)?.shares);
    tell('ours', finding.ours.at(-1)?.shares);
  }
}
if (!options['no-write'] && !options.profile)
  writeFileSync('bench/RESULTS.md', await report(findings, rounds));

/** On the wall, here and in Redis. */
function microsOf(costs: readonly Cost[], { units }: Comparison): string {
  const of = (field: Timed): string =>
    shown(
      costs.flatMap((cost) => cost[field] ?? []).map((ms) => (ms / units) * 1_000),
      1,
    );
  return `${of('ms')}/${of('nodeMs')}/${of('redisMs')}`;
}

function shown(values: readonly number[], digits: number): string {
  return values.length === 0 ? '–' : median(values).toFixed(digits);
}

function tell(side: string, shares: Shares | undefined): void {
  if (shares === undefined) return;
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  console.log(`  ${side}, ${shares.busyMs.toFixed(0)} ms busy:`);
  for (const [place, share] of shares.by) console.log(`    ${percent(share).padStart(7)}  ${place}`);
  if (side !== 'ours') return;
  for (const { name, share } of shares.own) console.log(`      ${percent(share).padStart(7)}  ${name}`);
}
