import type { MemberCounts, Recovered, TaskDescription, TaskMoment, TaskState } from 'nestjs-task-queue';
import type { AuditResult } from './audit-report.js';

/** Where a client finds the parts of an audit. */
export interface AuditLinks {
  readonly self: string;
  readonly events: string;
  readonly report: string;
}

/** The answer to the start of an audit. */
export interface StartedAudit {
  readonly id: string;
  readonly members: number;
  readonly links: AuditLinks;
}

/** How far an audit is. */
export interface AuditMoment {
  readonly state: TaskState;
  readonly counts?: MemberCounts;
  /** Share of the packages that have been audited, from 0 to 1. */
  readonly progress?: number;
}

/** Everything about an audit. */
export interface AuditView extends AuditMoment {
  readonly id: string;
  /** That the report was written although packages failed. */
  readonly recovered?: Recovered;
  readonly summary?: AuditResult;
  /** Why there is no report. Stacks and arguments are for the log. */
  readonly error?: { readonly code: string; readonly reason: string; readonly message: string };
  readonly publishedAt?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly links: AuditLinks;
}

export function linksOf(id: string): AuditLinks {
  const self = `/audits/${id}`;
  return { self, events: `${self}/events`, report: `${self}/report` };
}

export function momentOf({ state, counts }: TaskMoment): AuditMoment {
  if (counts === undefined) return { state };
  const { size, pending } = counts;
  return { state, counts, progress: size === 0 ? 1 : (size - pending) / size };
}

export function viewOf(description: TaskDescription): AuditView {
  const { id, value, error, recovered, publishedAt, startedAt, finishedAt } = description;
  return {
    id,
    ...momentOf(description),
    ...(recovered && { recovered }),
    ...(value !== undefined && { summary: value as unknown as AuditResult }),
    ...(error && {
      error: {
        code: error.error.code ?? error.error.name,
        reason: error.reason,
        message: error.error.message,
      },
    }),
    ...(publishedAt && { publishedAt }),
    ...(startedAt && { startedAt }),
    ...(finishedAt && { finishedAt }),
    links: linksOf(id),
  };
}
