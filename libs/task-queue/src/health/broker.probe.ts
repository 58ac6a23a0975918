import type { ServerReport } from '../backend/inspection.js';
import { inWords } from '../primitives/duration.js';
import type { ResolvedHealthOptions } from './resolve-health-options.js';
import { exceeds, type Finding, type Verdict, verdictOf } from './verdict.js';

/** What is known of Redis. */
export interface BrokerDetails {
  /** How long a PING took, in milliseconds. */
  readonly latencyMs: number;
  /** What Redis says of itself: one server, or each master of a Cluster; none where the provider hides it. */
  readonly servers: readonly ServerReport[];
}

/** Judges a Redis that answers. */
export function judgeBroker(
  { latencyMs, servers }: BrokerDetails,
  limits: ResolvedHealthOptions['broker'],
): Verdict<BrokerDetails> {
  const slow = exceeds(
    latencyMs,
    limits.latencyMs,
    (limit) => `Redis took ${inWords(latencyMs)} to answer a PING, ${inWords(limit)} or more`,
  );
  const findings = [...slow, ...servers.flatMap((server) => judgeServer(server, limits))];
  return verdictOf(findings, { latencyMs: Math.round(latencyMs * 10) / 10, servers });
}

function judgeServer(server: ServerReport, limits: ResolvedHealthOptions['broker']): Finding[] {
  const findings: Finding[] = [];
  const add = (status: Finding['status'], reason: string): unknown => findings.push({ status, reason });
  if (server.loading) add('down', 'Redis is loading its data');
  if (server.role === 'replica') add('down', 'Redis is a replica, to which nothing can be written');
  if (server.failedWrite === 'aof') {
    add('down', 'Redis could not write its append-only file, and refuses to be written to');
  }
  if (server.failedWrite === 'rdb') add('degraded', 'the last snapshot of Redis failed');
  if (server.persistence === 'off' && limits.persistence === 'required') {
    add('degraded', 'persistence is off: tasks are lost when Redis restarts (set appendonly yes)');
  }
  const policy = server.maxmemoryPolicy;
  if (policy !== undefined && policy !== 'noeviction' && limits.maxmemoryPolicy === 'noeviction') {
    add('degraded', `maxmemory-policy is ${policy}: Redis may throw tasks away (set noeviction)`);
  }
  return [...findings, ...judgeMemory(server, limits)];
}

function judgeMemory(
  { usedMemoryBytes, maxMemoryBytes, maxmemoryPolicy }: ServerReport,
  limits: ResolvedHealthOptions['broker'],
): Finding[] {
  if (usedMemoryBytes === undefined || !maxMemoryBytes) return [];
  const used = usedMemoryBytes / maxMemoryBytes;
  const percent = `${Math.floor(used * 100)} % of maxmemory`;
  if (used >= 1 && maxmemoryPolicy === 'noeviction') {
    return [{ status: 'down', reason: `Redis uses ${percent}, and refuses to be written to` }];
  }
  return exceeds(
    used,
    limits.memory,
    (limit) => `Redis uses ${percent}, ${Math.round(limit * 100)} % or more`,
  );
}
