import type { FailureReason, Outcome } from 'nestjs-task-queue';
import type { LicenceFinding } from '../licences/licence-finding.js';
import { type ComplianceReport, renderReport } from '../report/compliance-report.js';
import type { AuditFailure } from '../report/report-summary.js';

/** What the report is about; travels with the chord to its callback. Plain JSON. */
export interface AuditSubject {
  readonly title: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** The members of the chord, in definition order: a member that was lost cannot say which it was. */
  readonly packages: readonly { readonly name: string; readonly version: string }[];
}

/** What the whole audit returns. */
export interface AuditResult {
  readonly title: string;
  readonly members: number;
  readonly succeeded: number;
  readonly failed: number;
  /** How many members failed, by the stable code of their error. */
  readonly failures: Readonly<Record<string, number>>;
  /** Packages whose texts are of another licence than the declared one. */
  readonly contradictions: number;
  /** The document, relative to the folder of all reports. */
  readonly path: string;
}

/** Turns what the members of the chord came to into the report. */
export function reportOf(
  outcomes: readonly Outcome<LicenceFinding>[],
  subject: AuditSubject,
  finishedAt: Date,
): { html: string; json: ComplianceReport } {
  const findings: LicenceFinding[] = [];
  const failures: AuditFailure[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') findings.push(outcome.value);
    else failures.push(failureOf(outcome, subject.packages[index]));
  }
  return renderReport({ title: subject.title, startedAt: subject.startedAt, finishedAt, findings, failures });
}

/** The numbers that the audit returns. */
export function resultOf({ title, summary }: ComplianceReport, path: string): AuditResult {
  return {
    title,
    members: summary.packages,
    succeeded: summary.packages - summary.failed,
    failed: summary.failed,
    failures: Object.fromEntries(summary.failures.map(({ name, packages }) => [name, packages])),
    contradictions: summary.contradictions,
    path,
  };
}

/** How a member ended, in the words of the report. */
const REASONS: Readonly<Record<FailureReason, string>> = {
  error: 'error',
  'soft-time-limit': 'took too long',
  'time-limit': 'took too long and was abandoned',
  revoked: 'revoked',
  expired: 'expired before it was started',
  'worker-lost': 'its worker died, repeatedly',
  removed: 'removed from the queue',
  upstream: 'not started',
  pending: 'not done in time',
};

function failureOf(
  { reason: failure }: Extract<Outcome, { status: 'rejected' }>,
  subject: AuditSubject['packages'][number] | undefined,
): AuditFailure {
  const { error, request, reason } = failure;
  return {
    package: subject?.name ?? request.id,
    version: subject?.version ?? '',
    reason: REASONS[reason],
    code: error.code ?? error.name,
    message: error.message,
    ...(request.attempt > 0 ? { attempts: request.attempt } : {}),
  };
}
