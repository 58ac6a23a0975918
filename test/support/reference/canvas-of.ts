import type { Ref } from './canvas-model.js';
import { generate, generateWide } from './generate.js';

/** The canvas of a seed: now and then one of up to 2,000 members, or deeper than others. */
export function canvasOf(seed: number): Ref {
  if (seed % WIDE_EVERY === 0) return generateWide(seed, 200 + ((seed * 7_919) % 1_801));
  // Every fourth canvas meets with trouble nearly everywhere.
  const failureRate = seed % 4 === 0 ? 0.4 : 0.12;
  return generate(seed, { failureRate, ...(seed % 8 === 5 ? { maxDepth: 6, maxNodes: 40 } : {}) });
}

/** One canvas in so many is wide. */
const WIDE_EVERY = 250;
