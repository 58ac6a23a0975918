import { CANVAS_QUEUE, childId } from '../../../libs/task-queue/src/flow/ids.js';
import { isOver, type MemoryJob } from '../../../libs/task-queue/src/memory/memory-job.js';
import type { MemoryStore } from '../../../libs/task-queue/src/memory/memory-store.js';
import { HOLD, SENTINEL } from './holds.js';
import { CANVAS_ID, type Standing } from './scenario.js';

/** What can be seen of the canvas from outside, by what is stored. */
export function standingOf(store: MemoryStore): Standing {
  const jobOf = (id: string): MemoryJob | undefined => store.job({ queue: CANVAS_QUEUE, id });
  const node = jobOf(CANVAS_ID);
  const fields = store.record(CANVAS_ID)?.fields;
  return {
    isOver: node !== undefined && isOver(node),
    isDispatching: node?.dispatch !== undefined && node.dispatch.end === undefined,
    isParked: node?.place === 'waiting-children' && fields?.has(`p:${CANVAS_ID}`) === true,
    isHolding: jobOf(HOLD)?.place === 'active',
    isEnding: node?.place === 'waiting' || node?.place === 'active',
    isDue: fields?.has(`d:${CANVAS_ID}`) === true,
    isClosed: fields?.has(`c:${CANVAS_ID}`) === true,
    isTicking: jobOf(childId(CANVAS_ID, 'deadline'))?.place === 'active',
    isHeldBack: node?.refill !== undefined,
    isRunOut: jobOf(SENTINEL)?.place === 'active',
  };
}
