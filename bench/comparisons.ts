import { againstCelery, type Celery } from './celery.js';
import { enhancers } from './enhancers.js';
import type { Comparison } from './measure.js';
import { noOpTasks } from './no-op-tasks.js';
import { processPool } from './process-pool.js';
import { wideChord } from './wide-chord.js';

/** Everything that `npm run bench` compares, in its order. */
export function comparisons(celery: Celery | undefined): readonly Comparison[] {
  return [
    noOpTasks(20_000, true),
    noOpTasks(20_000, false),
    wideChord(1_000, 'at most 0.84'),
    wideChord(10_000, 'at most 0.70'),
    ...enhancers(100_000),
    processPool(1_000),
    ...(celery === undefined ? [] : againstCelery(celery)),
  ];
}
