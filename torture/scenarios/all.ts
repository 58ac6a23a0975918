import { deadline, errback, join, recovery, redrive, retry, wide } from './chords.js';
import { amended, breached, fast, late, reopened, tolerated } from './closed.js';
import { chained, grove, nested } from './nested.js';
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
  grove,
  tolerated,
  breached,
  fast,
  reopened,
  late,
  amended,
];
