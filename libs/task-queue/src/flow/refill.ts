import type { NodeEnvelope } from './envelope.js';
import { MAX_TREE } from './flow-plan.js';
import { memberIndex } from './ids.js';
import { type EndedNode, membersAgain, type RedrivePlan, type Rerun, sizeOfRerun } from './redrive.js';

/**
 * Redrives that are too wide for one transaction: what is put back in the step that begins the generation, and what follows.
 *
 * The step puts back the nodes that are wide, and with them those above them, up to the root. Each wide header among them is
 * held back; what failed in it is set aside, and follows in chunks.
 */

/** How many jobs follow at a time: more would gain nothing, and keep the store from others for longer. */
export const REFILL_CHUNK = 500;

/** How many jobs are put back at a time: by the first step, and by each of those that follow. */
export interface RefillSteps {
  readonly first: number;
  readonly chunk: number;
}

export const REFILL_STEPS: RefillSteps = { first: MAX_TREE, chunk: REFILL_CHUNK };

/** What the first step puts back: all of it, or the nodes below which there is more than a chunk. */
export function firstStepOf(rerun: Rerun, { first, chunk }: RefillSteps = REFILL_STEPS): Rerun {
  return sizeOfRerun(rerun) <= first ? rerun : above(rerun, chunk);
}

/** A node with one child needs no hold: the child comes along. */
function above(rerun: Rerun, chunk: number): Rerun {
  const { children } = rerun;
  if (children.length === 0) return rerun;
  const aboveThem = (some: readonly Rerun[]): Rerun[] => some.map((child) => above(child, chunk));
  if (!isHeader(rerun)) return { ...rerun, children: aboveThem(children) };
  const wide = children.filter((child) => sizeOfRerun(child) > chunk);
  return { ...rerun, children: aboveThem(wide), isHeld: true };
}

function isHeader({ job, children }: Rerun): boolean {
  const isList = job.name === 'group' || job.name === 'chord';
  return isList && children.every((child) => Number.isInteger(memberIndex(child.job.id)));
}

/** Which of the members that were set aside are put back. */
export function planRefill(
  node: NodeEnvelope,
  failed: EndedNode['failed'],
  generation: number,
): Pick<RedrivePlan, 'tasks' | 'left'> & { readonly rerun: readonly Rerun[] } {
  const tasks: string[] = [];
  const left: string[] = [];
  const rerun = membersAgain({ node }, failed, { generation, tasks, left, goingOn: [] });
  return { rerun, tasks, left };
}

/** Members in chunks of so many jobs; one that is wider by itself stands alone. */
export function* refillChunks(members: readonly Rerun[]): Generator<readonly Rerun[]> {
  let chunk: Rerun[] = [];
  let size = 0;
  for (const member of members) {
    const more = sizeOfRerun(member);
    if (chunk.length > 0 && size + more > REFILL_CHUNK) {
      yield chunk;
      [chunk, size] = [[], 0];
    }
    chunk.push(member);
    size += more;
  }
  if (chunk.length > 0) yield chunk;
}
