import type { NodeRecord } from '../../../libs/task-queue/src/backend/ledger.js';
import type { MemoryJob } from '../../../libs/task-queue/src/memory/memory-job.js';

/** Where a canvas can be: the states of docs/protocol.md. */
export const PHASES = [
  'dispatching',
  'header',
  'after the header',
  'parked',
  'closed',
  'decided',
  'adding',
  'body',
  'after the body',
  'succeeding',
  'failing',
  'succeeded',
  'failed',
] as const;

export type Phase = (typeof PHASES)[number];

/** Where a canvas is, by what is stored of it. */
export function phaseOf(node: MemoryJob, record: NodeRecord): Phase {
  if (node.place === 'completed') return 'succeeded';
  if (node.place === 'failed') return 'failed';
  if (record.failure !== undefined) return 'failing';
  if (node.returnvalue !== undefined) return 'succeeding';
  if (record.stage?.state === 'adding') return 'adding';
  if (record.stage?.state === 'added') return node.place === 'waiting-children' ? 'body' : 'after the body';
  if (record.decision !== undefined) return 'decided';
  if (record.closing !== undefined) return 'closed';
  if (record.parked !== undefined) return 'parked';
  if (node.place !== 'waiting-children') return 'after the header';
  return record.dispatch?.state === 'open' ? 'dispatching' : 'header';
}
