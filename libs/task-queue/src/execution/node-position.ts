import type { JobRef } from '../backend/job-ref.js';
import type { ChildRecord, Ledger, NodeRecord, Stage } from '../backend/ledger.js';
import type { ChildEnd } from '../flow/advance-node.js';
import type { NodeEnvelope } from '../flow/envelope.js';
import { childId } from '../flow/ids.js';

/** Where a node stands: its stage, and what became of that stage's one child. */
export interface Position {
  readonly stage: number;
  readonly child: JobRef | undefined;
  readonly end: ChildRecord | undefined;
  /** What closed its header, where that was not just the end of the last member. */
  readonly closing?: NodeRecord['closing'];
}

/** The stage that counts: one whose child was announced but never added has not begun. */
export async function positionOf(
  ledger: Ledger,
  id: string,
  node: NodeEnvelope,
  noted: Stage | undefined,
): Promise<Position> {
  if (noted !== undefined) {
    const end = noted.child === undefined ? undefined : await ledger.readChild(noted.child);
    if (noted.state === 'added' || (end !== undefined && end.end !== 'missing')) {
      return { stage: noted.stage, child: noted.child, end };
    }
  }
  return positionBefore(ledger, id, node, noted);
}

/** Where the node stood before it added what it has noted. */
export async function positionBefore(
  ledger: Ledger,
  id: string,
  node: NodeEnvelope,
  noted: Stage | undefined,
): Promise<Position> {
  const stage = noted === undefined ? 0 : noted.stage - 1;
  const first = node.firstQueue === undefined ? undefined : { queue: node.firstQueue, id: childId(id, 0) };
  const child = stage === 0 ? first : noted?.before;
  return { stage, child, end: child === undefined ? undefined : await ledger.readChild(child) };
}

/** What became of a child, as far as what follows depends on it. */
export function endOf(child: ChildRecord | undefined): ChildEnd {
  switch (child?.end) {
    case 'succeeded':
      return 'succeeded';
    case 'failed':
      return 'failed';
    case 'pending':
    case 'missing':
    case undefined:
      return 'missing';
  }
}
