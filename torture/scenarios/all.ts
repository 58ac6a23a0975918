import { join } from './chords.js';
import type { Scenario } from './scenario.js';

export const SCENARIOS: readonly Scenario[] = [join];
