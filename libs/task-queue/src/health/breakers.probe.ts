import type { BreakerRecord } from '../backend/breaker-store.js';
import type { BreakerPhase } from '../breaker/breaker-state.js';
import type { ResolvedHealthOptions } from './resolve-health-options.js';
import { inWords } from '../primitives/duration.js';
import { type Finding, type Verdict, verdictOf } from './verdict.js';

/** Breakers of this application's tasks, and all others that are not closed. */
export interface BreakersDetails {
  /** By name. */
  readonly breakers: Readonly<Record<string, BreakerPhase>>;
}

/** Judges whether tasks are kept from a resource. */
export function judgeBreakers(
  records: readonly BreakerRecord[],
  nowMs: number,
  { open }: ResolvedHealthOptions['breakers'],
): Verdict<BreakersDetails> {
  const findings = records.flatMap(({ name, phase, sinceMs, why }): Finding[] => {
    if (phase === 'closed' || open === 'ignored') return [];
    const since = sinceMs === undefined ? '' : ` since ${inWords(Math.max(0, nowMs - sinceMs))}`;
    const status = phase === 'open' ? open : 'degraded';
    return [{ status, reason: `breaker ${name} is ${phase}${since}: ${why}` }];
  });
  return verdictOf(findings, {
    breakers: Object.fromEntries(records.map(({ name, phase }) => [name, phase])),
  });
}
