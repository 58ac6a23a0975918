import { membersOfChunks, type Ref } from './canvas-model.js';

/** What one settled record adds around a value: its status, and a name, message and reason when it failed. */
const SETTLED_RECORD_SIZE = 6;

/**
 * An upper bound, in JSON nodes, of the largest value that a canvas hands around. It only counts, so it also
 * answers for canvases whose values would not fit in memory.
 */
export function peakValueSize(canvas: Ref): number {
  let peak = 0;

  const sizeAfter = (ref: Ref, input: number): number => {
    const size = sizeOf(ref, input);
    peak = Math.max(peak, size);
    return size;
  };
  const sizeOfList = (refs: readonly Ref[], input: number): number =>
    refs.reduce((size, ref) => size + sizeAfter(ref, input), 1);
  const sizeOf = (ref: Ref, input: number): number => {
    switch (ref.kind) {
      case 'task': {
        // What is added is a part of the list around it.
        let extra = 0;
        if (ref.by !== undefined) return sizeAfter(ref.by, 0);
        for (const added of ref.adds ?? []) extra += sizeAfter(added, 0);
        // Stamps may be what it returns, once for each item.
        return extra + (input + JSON.stringify(ref.args).length) * (ref.name === 'headers' ? 8 : 1) + 8;
      }
      case 'chain':
        return ref.steps.reduce((size, step) => sizeAfter(step, size), input);
      case 'group':
        return sizeOfList(ref.members, input);
      case 'chunks':
        return sizeOfList(membersOfChunks(ref), input);
      case 'chord': {
        const list = sizeOfList(ref.header, input) + SETTLED_RECORD_SIZE * ref.header.length;
        return sizeAfter(ref.body, list);
      }
      default:
        return ref satisfies never;
    }
  };

  sizeAfter(canvas, 0);
  return peak;
}
