import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { CanvasSource } from './call-options.js';
import type { CanvasData, ChainData } from './canvas-data.js';
import { canvasListOf, isBare } from './canvas-node.js';

/**
 * Steps one after the other; each gets the value of the one before.
 *
 * A chain among the steps that carries no options and no callbacks of its own is opened up, which changes
 * nothing but the depth: a chain may be grown step by step in a loop.
 *
 * @throws InvalidCanvasError when there is no step
 */
export function makeChain(sources: Iterable<CanvasSource>): ChainData {
  const steps = canvasListOf(sources, 'steps').flatMap(openChain);
  if (steps.length === 0) throw new InvalidCanvasError('root', NO_STEP);
  return Object.freeze({ kind: 'chain', steps: Object.freeze(steps) });
}

/** What is wrong with a chain without steps. */
export const NO_STEP = 'a chain needs at least one step';

function openChain(step: CanvasData): CanvasData | readonly CanvasData[] {
  return step.kind === 'chain' && isBare(step) ? step.steps : step;
}
