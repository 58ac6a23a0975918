import { join } from 'node:path';
import type { AuditView } from '../audits/audit-view.js';
import type { RunCounts } from './run-counter.js';

/** Everything that is known about a run that has ended. */
export interface DemoRun {
  readonly view: AuditView;
  readonly runs: RunCounts;
  /** Packages that were found on disk before the audit. */
  readonly packages: number;
  /** The document as the API delivered it; undefined when there is none. */
  readonly document: string | undefined;
  readonly seconds: number;
  /** Workers that were killed in mid-run; undefined when none was to be. */
  readonly killed: number | undefined;
  readonly reportsDir: string;
  readonly logFile: string;
}

/** What is not as it has to be; an empty list when all is well. */
export function problemsOf({ view, runs, packages, document, killed }: DemoRun): string[] {
  const { summary, counts, error } = view;
  if (summary === undefined || counts === undefined) {
    return [
      `the audit ended as ${view.state}: ${error ? `${error.code}, ${error.message}` : 'no reason given'}`,
    ];
  }
  const expectations: [boolean, string][] = [
    [
      summary.members === packages,
      `${packages} packages were to be audited, the report has ${summary.members}`,
    ],
    [counts.pending === 0, `${counts.pending} members have not ended`],
    [
      counts.succeeded === summary.succeeded && counts.failed === summary.failed,
      `the API counts ${counts.succeeded} + ${counts.failed}, the report ${summary.succeeded} + ${summary.failed}`,
    ],
    [runs.membersRun === packages, `${runs.membersRun} of ${packages} members were run at all`],
    [runs.callbackRuns === 1, `the callback ran ${runs.callbackRuns} times instead of once`],
    [document?.includes('</html>') === true, 'the report was not delivered'],
    [killed !== 0, 'the run was over before a worker could be killed; give it more packages'],
  ];
  return expectations.filter(([isMet]) => !isMet).map(([, problem]) => problem);
}

/** The summary as lines of text. */
export function summaryOf({ view, runs, packages, seconds, killed, reportsDir, logFile }: DemoRun): string {
  const {
    members = packages,
    succeeded = 0,
    failed = 0,
    failures = {},
    contradictions = 0,
  } = view.summary ?? {};
  const reasons = Object.entries(failures).map(([code, count]) => `${code} ${count}`);
  const again = runs.memberRuns - runs.membersRun - runs.retries;
  const rows: [string, string | number, string?][] = [
    ['members', members],
    ['succeeded', succeeded],
    ['failed', failed, reasons.join(', ')],
    ['contradictions', contradictions],
    ['retries', runs.retries],
    ['wall time', `${seconds.toFixed(1)} s`],
    ['rate', `${Math.round(members / seconds)}/s`],
    ['callback runs', runs.callbackRuns],
  ];
  if (killed !== undefined) {
    rows.push(
      ['workers killed', killed],
      ['executions', runs.memberRuns, `${again} started again after the kill: delivery is at least once`],
    );
  }
  return [
    '',
    ...rows.map(([label, value, remark]) =>
      `  ${label.padEnd(15)}${String(value).padStart(8)}   ${remark ?? ''}`.trimEnd(),
    ),
    '',
    ...(view.summary ? [`  report  ${join(reportsDir, view.summary.path)}`] : []),
    `  log     ${logFile}`,
    '',
  ].join('\n');
}
