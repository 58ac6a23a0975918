import type { Delivery, Verdict } from '../backend/delivery.js';
import type { HeaderStore } from '../backend/header-store.js';
import { dueAt } from '../chords/deadline.js';
import type { TimerEnvelope } from '../flow/envelope.js';
import { parentOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';

/** A timer is in its queue before its node: so long, and so often, a node is waited for that is not there. */
const NOT_THERE = { delayMs: 1_000, times: 60 } as const;

/**
 * The timer of a chord's deadline: a delayed job beside the node. It comes due when the deadline can be at the earliest,
 * looks from when it counts, and goes back until then. So the end of a member never moves a timer.
 *
 * It is that of one generation: one of an older generation has nothing to say to a chord that was redriven, and one that is
 * there before its generation waits for it.
 */
export class DeadlineTimer {
  constructor(
    private readonly headers: HeaderStore,
    private readonly clock: Clock,
  ) {}

  async tick({ id, activations }: Delivery, timer: TimerEnvelope): Promise<Verdict> {
    const node = parentOf(id) ?? '';
    const { generation = 0 } = timer;
    const times = await this.headers.times(node, generation);
    if (times === 'over') return DONE;
    if (times === 'unknown') {
      return activations < NOT_THERE.times ? { do: 'give-back', delayMs: NOT_THERE.delayMs } : DONE;
    }
    const nowMs = this.clock.wallMs();
    // As long as nothing has happened that it counts from, it cannot be due before so long.
    const leftMs = (dueAt(timer, times) ?? nowMs + timer.afterMs) - nowMs;
    if (leftMs > 0) return { do: 'give-back', delayMs: leftMs };
    await this.headers.setDue(node, generation);
    return DONE;
  }
}

const DONE: Verdict = { do: 'complete', value: null };
