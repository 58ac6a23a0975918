import type { Delivery, Verdict } from '../backend/delivery.js';
import type { Ledger } from '../backend/ledger.js';
import type { Limit, RateLimiter } from '../backend/rate-limiter.js';
import { NonRetryableError } from '../errors/task.errors.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { JsonValue } from '../primitives/json.js';
import type { RateLimit } from '../rate-limit/rate-limit.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { EngineLog } from './engine-log.js';
import { untilStored } from './until-stored.js';

/** What the admission of tasks needs. */
export interface AdmissionDeps {
  readonly limiter: RateLimiter;
  readonly ledger: Ledger;
  readonly log: EngineLog;
  readonly stopping: AbortSignal;
}

/** Delays count whole ms by a worker's clock: so that it does not come too early by a rounding. */
const AFTER_SLOT_MS = 1;
/** Longer keys would make long names in the store. */
const MAX_KEY = 200;

/**
 * Whether an attempt may begin now, where its task has a rate limit.
 *
 * One that may not is given back with the time of its slot, and counts as nothing. The slot is written into the task
 * first: when the worker dies in between, the task is run again at once and asks with it.
 */
export class Admission {
  constructor(private readonly deps: AdmissionDeps) {}

  /**
   * @returns what to do with the task instead of running it, if anything
   */
  async turnAway(
    delivery: Delivery,
    envelope: TaskEnvelope,
    limit: Limit,
  ): Promise<Extract<Verdict, { do: 'give-back' | 'leave' }> | undefined> {
    const { limiter, ledger, log, stopping } = this.deps;
    const { parked } = envelope;
    const slot = parked?.attempt === delivery.attemptsMade ? parked.slot : undefined;
    try {
      const answer = await untilStored(() => limiter.ask(limit, slot), stopping, log);
      if (answer.go) return undefined;
      const note = { times: (parked?.times ?? 0) + 1, slot: answer.slot, attempt: delivery.attemptsMade };
      const heard = await untilStored(
        () => ledger.setData(delivery, { ...envelope, parked: note }),
        stopping,
        log,
      );
      return heard ? { do: 'give-back', delayMs: answer.waitMs + AFTER_SLOT_MS } : { do: 'leave' };
    } catch {
      return { do: 'give-back' }; // only while stopping: the store did not answer
    }
  }

  /** The other side has asked to be left alone for so long: nobody under this limit begins before. */
  async hold(limit: Limit, ms: number): Promise<void> {
    await this.deps.limiter
      .hold(limit, ms)
      .catch((error: unknown) =>
        this.deps.log.warn(`The rate limit ${limit.name} was not held: ${String(error)}`),
      );
  }
}

/**
 * The limit that a call falls under.
 *
 * @throws NonRetryableError when the key cannot be had: without it nothing could be counted
 */
export function limitOf(
  { name }: TaskDefinition,
  { name: shared, key, rate }: RateLimit,
  args: readonly JsonValue[],
): Limit {
  const base = shared ?? name;
  if (key === undefined) return { name: base, rate };
  let value: unknown;
  try {
    value = key(...args);
  } catch (error) {
    throw new NonRetryableError(`The key of the rate limit of ${name} threw: ${String(error)}`, {
      cause: error,
    });
  }
  if ((typeof value === 'string' && value.length <= MAX_KEY) || Number.isFinite(value)) {
    return { name: `${base}:${String(value)}`, rate };
  }
  throw new NonRetryableError(
    `The key of the rate limit of ${name} has to give a text of at most ${MAX_KEY} characters or a number; it gave ` +
      `${typeof value === 'string' ? `a text of ${value.length}` : String(value)}.`,
  );
}
