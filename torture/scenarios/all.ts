import { deadline, errback, join, recovery, redrive, retry, wide } from './chords.js';
import { chained, nested } from './nested.js';
import type { Scenario } from './scenario.js';

export const SCENARIOS: readonly Scenario[] = [
  join,
  retry,
  recovery,
  errback,
  redrive,
  deadline,
  wide,
  nested,
  chained,
];
