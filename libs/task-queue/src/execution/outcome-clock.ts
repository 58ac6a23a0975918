import type { Delivery, Processor, Verdict } from '../backend/delivery.js';
import type { HeaderStore } from '../backend/header-store.js';
import { isTimed } from '../flow/envelope.js';
import { parentOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import type { EngineLog } from './engine-log.js';
import { untilStored } from './until-stored.js';

/** What noting outcomes needs. */
export interface OutcomeClockDeps {
  readonly headers: HeaderStore;
  readonly clock: Clock;
  readonly log: EngineLog;
  readonly stopping: AbortSignal;
}

/**
 * A processor that notes when a member ends whose chord counts its deadline from there: before the queue stores the end,
 * so that a crash in between leaves a note too many and never one too few. Every other job passes as it is.
 */
export function notingOutcomes(process: Processor, deps: OutcomeClockDeps): Processor {
  return (delivery) => {
    const verdict = process(delivery);
    return isTimed(delivery.data) ? noted(delivery, verdict, deps) : verdict;
  };
}

async function noted(
  delivery: Delivery,
  pending: Promise<Verdict>,
  { headers, clock, log, stopping }: OutcomeClockDeps,
): Promise<Verdict> {
  const verdict = await pending;
  const node = parentOf(delivery.id);
  if (node === undefined || (verdict.do !== 'complete' && verdict.do !== 'fail')) return verdict;
  try {
    await untilStored(() => headers.noteOutcome(delivery, node, clock.wallMs()), stopping, log);
    return verdict;
  } catch {
    return { do: 'give-back' }; // only while stopping: the store did not answer
  }
}
