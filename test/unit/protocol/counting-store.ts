import { MemoryStore } from '../../../libs/task-queue/src/memory/memory-store.js';
import type { MemoryJob } from '../../../libs/task-queue/src/memory/memory-job.js';
import type { FlowPlan, PlannedJob } from '../../../libs/task-queue/src/flow/flow-plan.js';
import { generationIn } from '../../../libs/task-queue/src/task/redriven.js';

/** What keeps a node waiting, or waits itself, or tells the time: nothing that a canvas releases. */
const TOOLS = /\.(sentinel|hold|late|deadline(-\d+)?)$/;

/**
 * Counts how often a job of each id was made in each generation: one that was removed and made again was released twice.
 * Those of later generations are named `c.0 g1`.
 */
export class CountingStore extends MemoryStore {
  readonly made = new Map<string, number>();

  override add(plan: FlowPlan, parent?: MemoryJob): void {
    if (this.job(plan.job) === undefined) this.#count(plan.job);
    super.add(plan, parent);
  }

  override addHeld(planned: PlannedJob): MemoryJob {
    this.#count(planned);
    return super.addHeld(planned);
  }

  override putBack(planned: PlannedJob, parent: MemoryJob | undefined): MemoryJob {
    this.#count(planned);
    return super.putBack(planned, parent);
  }

  #count({ id, data }: PlannedJob): void {
    if (TOOLS.test(id)) return;
    const generation = generationIn(data);
    const name = generation === undefined ? id : `${id} g${generation}`;
    this.made.set(name, (this.made.get(name) ?? 0) + 1);
  }
}
