import type { NodeEnvelope, ChordNode, EndedGeneration } from './envelope.js';
import type { FlowPlan } from './flow-plan.js';
import { CANVAS_QUEUE, childId } from './ids.js';
import { type KeptStage, type Rerun, withHistory } from './redrive.js';

/** It is put there before the header is closed, and looks first when it has probably been. */
const FIRST_LOOK_MS = 250;

/** What waits, beside a header's node, for those that had not ended when the header was closed. */
export function lateWaiter(header: string): FlowPlan {
  const job = { id: childId(header, 'late'), queue: CANVAS_QUEUE, name: 'late', delayMs: FIRST_LOOK_MS };
  return { job: { ...job, data: { v: 1, node: 'late' }, retention: 'parent' }, children: [], size: 1 };
}

/** A chord that has ended, whose late members have ended as well. */
export interface EndedChord {
  readonly id: string;
  readonly node: ChordNode;
  /** How many members it has, where that is noted beside its data. */
  readonly size: number | undefined;
  readonly stage: KeptStage | undefined;
  /** How many members were published, where those are not all. */
  readonly part: number | undefined;
}

/**
 * The next generation of a chord that is the canvas as a whole: nothing is run again, what its late members came to
 * counts as if they had been waited for, and it is decided anew what follows its header. A part of one stays a part.
 *
 * @param changed indexes of the late members
 */
export function planAmendment(
  { id, node, size, stage, part }: EndedChord,
  generation: number,
  changed: readonly number[],
  ended: EndedGeneration,
): Rerun {
  const body = stage?.child;
  const data: NodeEnvelope = {
    ...node,
    ...(body === undefined ? {} : { anew: generation }),
    redriven: { generation, changed: changed.toSorted((one, other) => one - other) },
    history: withHistory(node, { ...ended, amended: true }),
  };
  return {
    job: { id, queue: CANVAS_QUEUE, name: 'chord', data, retention: 'canvas' },
    children: [],
    ...(size === undefined ? {} : { size }),
    ...(part === undefined ? {} : { part }),
    ...(body === undefined ? {} : { drops: body }),
    isAmended: true,
  };
}
