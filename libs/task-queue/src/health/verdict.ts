/** How something fares: `degraded` still does its work, but somebody should look. */
export type HealthStatus = 'up' | 'degraded' | 'down';

/** What a probe found: plain data, usable without terminus and without HTTP. */
export type Verdict<Details extends object = object> =
  | { readonly status: 'up'; readonly details: Details }
  | { readonly status: 'degraded'; readonly reasons: readonly string[]; readonly details: Details }
  /** What is down may not have answered, so that details can be missing. */
  | { readonly status: 'down'; readonly reasons: readonly string[]; readonly details: Partial<Details> };

/** One thing that is not as it should be. */
export interface Finding {
  readonly status: Exclude<HealthStatus, 'up'>;
  readonly reason: string;
}

/** The verdict that follows from findings: as bad as the worst of them, which come first. */
export function verdictOf<Details extends object>(
  findings: readonly Finding[],
  details: Details,
): Verdict<Details> {
  if (findings.length === 0) return { status: 'up', details };
  const reasonsOf = (status: Finding['status']): string[] =>
    findings.filter((finding) => finding.status === status).map(({ reason }) => reason);
  const down = reasonsOf('down');
  const reasons = [...down, ...reasonsOf('degraded')];
  return { status: down.length > 0 ? 'down' : 'degraded', reasons, details };
}

/** The verdict on something that did not answer. */
export function downBecause<Details extends object>(error: unknown): Verdict<Details> {
  const reason = error instanceof Error ? error.message : String(error);
  return { status: 'down', reasons: [reason], details: {} };
}

/** Why a verdict is not `up`. */
export function reasonsOf(verdict: Verdict): readonly string[] {
  return verdict.status === 'up' ? [] : verdict.reasons;
}

const BADNESS = { up: 0, degraded: 1, down: 2 } as const;

/** The worst of several. */
export function worstOf(statuses: readonly HealthStatus[]): HealthStatus {
  return statuses.reduce((worst, status) => (BADNESS[status] > BADNESS[worst] ? status : worst), 'up');
}

/** A limit that a number should stay below. */
export interface ResolvedLimit {
  /** undefined means none. */
  readonly degraded: number | undefined;
  readonly down: number | undefined;
}

/**
 * Holds a number against a limit.
 *
 * @param say what to say of the limit that was reached
 */
export function exceeds(value: number, limit: ResolvedLimit, say: (limit: number) => string): Finding[] {
  if (limit.down !== undefined && value >= limit.down) return [{ status: 'down', reason: say(limit.down) }];
  if (limit.degraded !== undefined && value >= limit.degraded)
    return [{ status: 'degraded', reason: say(limit.degraded) }];
  return [];
}
