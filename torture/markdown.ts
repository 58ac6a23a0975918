/** The report of a run as tables, and its place in docs/torture.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import type { FailOver, Report } from './report.js';

const BEGIN = '<!-- torture: written by `npm run torture -- --write` -->';
const END = '<!-- torture: end -->';

export function writeReport(file: string, report: Report, server: string): void {
  const text = readFileSync(file, 'utf8');
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END);
  if (from < 0 || to < from) throw new Error(`${file} has no place for the report`);
  writeFileSync(file, `${text.slice(0, from)}${BEGIN}\n\n${markdownOf(report, server)}\n\n${text.slice(to)}`);
}

function markdownOf(report: Report, server: string): string {
  const minutes = Math.round((Date.now() - report.begun) / 60_000);
  const begun = new Date(report.begun).toISOString().slice(0, 10);
  const machine = `Node ${process.versions.node}, Redis ${server}, ${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'})`;
  return [
    `Seed ${report.seed}, ${begun}, ${minutes} minutes, ${machine}: **${number(report.chords)} chords** in ` +
      `${number(report.canvases)} canvases, ${number(report.struckTimes)} faults, **${report.wrong} wrong**.`,
    expiryOf(report),
    `${number(report.deliveries)} jobs were delivered a second time while somebody had them.`,
    slowOf(report),
    placesOf(report),
    ...(report.failovers.size === 0
      ? []
      : [
          'Fail-overs to a replica, by Sentinels that take a master for down after 1.5 s:',
          failoversOf(report),
        ]),
    `From a fault to the end of everything in the canvas that it struck, in systematic cases (locks of 0.6 s, looked for every 0.2 s):`,
    recoveriesOf(report),
    'How often handlers ran: whatever is above the number of tasks was run again because its first run was lost or cut off.',
    handlersOf(report),
    'What the faults struck at, the most frequent commands first:',
    faultsOf(report),
  ].join('\n\n');
}

function expiryOf({ gone, stayed, unseen, keptMs }: Report): string {
  return (
    `Results were kept for ${keptMs / 1_000} s in systematic and random cases. When that was over, ` +
    `no key was left of ${number(gone)} canvases` +
    (stayed === 0 ? '.' : `, but something of ${number(stayed)}.`) +
    (unseen === 0
      ? ''
      : ` ${number(unseen)} more had gone before they could be looked at; they are not counted.`)
  );
}

function slowOf({ slow }: Report): string {
  if (slow.length === 0) return 'Nothing took longer than the 300 s that is waited for a canvas.';
  return [
    'Slow, because workers had no processor for a while; they ended after all:',
    table(
      ['what', 'took'],
      slow.map(({ label, tookMs }) => [label, `${(tookMs / 1_000).toFixed(0)} s`]),
    ),
  ].join('\n\n');
}

function placesOf({ places }: Report): string {
  interface Row {
    readonly systematic: Record<string, number>;
    random: number;
    failovers: number;
    chords: number;
  }
  const rows = new Map<string, Row>();
  const names = new Set<string>();
  for (const [place, { canvases, chords }] of places) {
    const [scenario = '', fault = ''] = place.split('|');
    const row = rows.get(scenario) ?? { systematic: {}, random: 0, failovers: 0, chords: 0 };
    rows.set(scenario, row);
    row.chords += chords;
    if (fault === 'random') row.random += canvases;
    else if (fault === 'fail-over') row.failovers += canvases;
    else {
      row.systematic[fault] = (row.systematic[fault] ?? 0) + canvases;
      names.add(fault);
    }
  }
  const faults = [...names].sort();
  return table(
    ['scenario', ...faults.map((fault) => `one ${fault}`), 'random faults', 'a fail-over', 'chords'],
    [...rows].map(([scenario, { systematic, random, failovers, chords }]) => [
      scenario,
      ...faults.map((fault) => number(systematic[fault] ?? 0)),
      number(random),
      number(failovers),
      number(chords),
    ]),
  );
}

function failoversOf({ failovers }: Report): string {
  const sumOf = (all: readonly FailOver[], of: keyof FailOver): number =>
    all.reduce((sum, one) => sum + one[of], 0);
  return table(
    [
      'the master was',
      'times',
      'canvases',
      'forgotten and published again',
      'runs forgotten',
      'of these, begun after the run that counts',
      'next master after',
    ],
    [...failovers].map(([how, all]) => [
      how,
      number(all.length),
      ...(['canvases', 'unknown', 'forgotten', 'late'] as const).map((of) => number(sumOf(all, of))),
      `${(sumOf(all, 'tookMs') / all.length / 1_000).toFixed(1)} s`,
    ]),
  );
}

function recoveriesOf({ places }: Report): string {
  const byFault = new Map<string, number[]>();
  for (const [place, { recoveriesMs }] of places) {
    const fault = place.split('|')[1] ?? '';
    byFault.set(fault, [...(byFault.get(fault) ?? []), ...recoveriesMs]);
  }
  return table(
    ['fault', 'canvases', 'median', '95 %', 'slowest'],
    [...byFault]
      .filter(([, times]) => times.length > 0)
      .map(([fault, times]) => {
        const sorted = [...times].sort((a, b) => a - b);
        const at = (share: number): string =>
          `${((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) / 1_000).toFixed(1)} s`;
        return [fault, number(sorted.length), at(0.5), at(0.95), at(1)];
      }),
  );
}

function handlersOf({ handlers }: Report): string {
  const own = ['member', 'step', 'body', 'link', 'errback'];
  const rest = { tasks: 0, runs: 0 };
  for (const [name, { tasks, runs }] of handlers) {
    if (own.includes(name)) continue;
    rest.tasks += tasks;
    rest.runs += runs;
  }
  const rows = own.flatMap((name) => {
    const count = handlers.get(name);
    return count === undefined ? [] : [[name, number(count.tasks), number(count.runs)]];
  });
  return table(
    ['handler', 'tasks', 'runs'],
    [...rows, ['handlers of random canvases, retries included', number(rest.tasks), number(rest.runs)]],
  );
}

function faultsOf({ faults }: Report): string {
  return table(
    ['fault', 'times', 'at'],
    [...faults].map(([fault, commands]) => {
      const all = [...commands].sort(([, a], [, b]) => b - a);
      const shown = all.slice(0, 5).map(([command, times]) => `${command} (${number(times)})`);
      const total = all.reduce((sum, [, times]) => sum + times, 0);
      return [fault, number(total), [...shown, ...(all.length > 5 ? ['…'] : [])].join(', ')];
    }),
  );
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

const number = (value: number): string => value.toLocaleString('en-US');
