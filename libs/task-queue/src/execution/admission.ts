import type { Delivery, Verdict } from '../backend/delivery.js';
import type { Ledger } from '../backend/ledger.js';
import type { Limit, RateLimiter } from '../backend/rate-limiter.js';
import type { StoredValues } from '../codec/stored-values.js';
import { NonRetryableError, RetryBudgetExceededError } from '../errors/task.errors.js';
import type { ParkedNote, TaskEnvelope } from '../flow/envelope.js';
import type { Clock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import type { RateLimit } from '../rate-limit/rate-limit.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { BreakerPass, Breaking } from './breaking.js';
import type { ChangedLimits } from './changed-limits.js';
import type { EngineLog } from './engine-log.js';
import type { Outcome } from './outcome.js';
import type { RetrySpending } from './retry-spending.js';
import { untilStored } from './until-stored.js';

/** What the admission of tasks needs. */
export interface AdmissionDeps {
  readonly limiter: RateLimiter;
  readonly breaking: Breaking;
  readonly spending: RetrySpending;
  readonly limitsNow: ChangedLimits;
  readonly values: StoredValues;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: EngineLog;
  readonly stopping: AbortSignal;
}

/** Whether an attempt may begin. */
export type Entrance =
  /** It may; a breaker wants to hear what it comes to. */
  | { readonly come: 'in'; readonly pass?: BreakerPass }
  /** It may not now: what to do with the task instead. */
  | { readonly come: 'away'; readonly verdict: Extract<Verdict, { do: 'give-back' | 'leave' }> }
  /** It never may. */
  | { readonly come: 'error'; readonly error: unknown };

/** Delays count whole ms by a worker's clock: so that it does not come too early by a rounding. */
const AFTER_SLOT_MS = 1;
/** Longer keys would make long names in the store. */
const MAX_KEY = 200;

/** Whether anybody has to be asked before a task of this kind begins. */
export function isGuarded({ options, breaker, policies }: TaskDefinition): boolean {
  return options.rateLimit !== undefined || breaker !== undefined || policies.some(({ budget }) => budget);
}

/**
 * Whether an attempt may begin now, where its task has a breaker or a rate limit.
 *
 * One that may not is given back with the time at which it is to ask again, and counts as nothing. The slot that a rate
 * limit gave is written into the task first: when the worker dies in between, the task is run again at once and asks
 * with it.
 */
export class Admission {
  constructor(private readonly deps: AdmissionDeps) {}

  async enter(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    args: readonly JsonValue[],
  ): Promise<Entrance> {
    const { breaker } = definition;
    let limit: Limit | undefined;
    try {
      limit = this.limitOf(definition, args);
    } catch (error) {
      return { come: 'error', error };
    }
    try {
      // A task that is not let in anyway takes no start away from others.
      let pass: BreakerPass | undefined;
      if (breaker !== undefined) {
        const answer = await this.deps.breaking.ask(breaker);
        if ('waitMs' in answer)
          return await this.#park(delivery, envelope, answer.waitMs, { breaker: breaker.name });
        pass = answer;
      }
      const paid = await this.#pay(delivery, definition, envelope);
      if ('come' in paid) return paid;
      if (limit !== undefined) {
        const slot = slotOf(delivery, envelope);
        const answer = await this.#store(() => this.deps.limiter.ask(limit, slot));
        if (!answer.go)
          return await this.#park(delivery, envelope, answer.waitMs, { slot: answer.slot, ...paid });
      }
      if (delivery.attemptsMade === 0) this.deps.spending.begin(definition);
      return pass === undefined ? IN : { come: 'in', pass };
    } catch {
      return { come: 'away', verdict: { do: 'give-back' } }; // only while stopping: the store did not answer
    }
  }

  /**
   * The rate limit that a call falls under, with the rate that holds now.
   *
   * @throws NonRetryableError when its key cannot be had
   */
  limitOf(definition: TaskDefinition, args: readonly JsonValue[]): Limit | undefined {
    const { rateLimit } = definition.options;
    const declared =
      rateLimit && limitOf(definition, rateLimit, rateLimit.key === undefined ? args : this.#read(args));
    return this.deps.limitsNow.rateLimit(rateLimit?.name ?? definition.name, declared);
  }

  /** Keys are made of arguments as the task gets them. */
  #read(args: readonly JsonValue[]): readonly JsonValue[] {
    return this.deps.values.readIfPossible(args);
  }

  /** A retry that may have to wait for its budget; one that was granted is not asked for again while others hold it back. */
  async #pay(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
  ): Promise<Entrance | Pick<ParkedNote, 'paid'>> {
    const { retried, parked } = envelope;
    if (delivery.attemptsMade === 0 || retried === undefined) return NOT_PAID;
    if (parked?.attempt === delivery.attemptsMade && parked.paid) return PAID;
    const held = await this.deps.spending.hold(definition, Number(retried.last), parked?.times ?? 0);
    if (held === undefined) return PAID;
    const { sinceMs = Infinity } = retried;
    const { maxElapsedMs = Infinity } = definition.policies[Number(retried.last)] ?? {};
    if (this.deps.clock.wallMs() + held.waitMs - sinceMs > maxElapsedMs)
      return { come: 'error', error: new RetryBudgetExceededError(held.budget) };
    return this.#park(delivery, envelope, held.waitMs, { budget: held.budget });
  }

  /** @see RetrySpending.refuse */
  refuseRetry(definition: TaskDefinition, policy: number, error: unknown): Promise<Error | undefined> {
    return this.deps.spending.refuse(definition, policy, error);
  }

  /** Says what a call has come to that a breaker let in. */
  report(pass: BreakerPass, outcome: Outcome): Promise<void> {
    return this.deps.breaking.report(pass, outcome);
  }

  /** The other side has asked to be left alone for so long: nobody under this limit begins before. */
  async hold(limit: Limit, ms: number): Promise<void> {
    await this.deps.limiter
      .hold(limit, ms)
      .catch((error: unknown) =>
        this.deps.log.warn(`The rate limit ${limit.name} was not held: ${String(error)}`),
      );
  }

  /** @param by who has turned it away; a slot in the line of its rate limit is kept until there is a new one */
  async #park(
    delivery: Delivery,
    envelope: TaskEnvelope,
    waitMs: number,
    by: Partial<ParkedNote>,
  ): Promise<Entrance> {
    const slot = slotOf(delivery, envelope);
    const { parked } = envelope;
    const note: ParkedNote = {
      times: (parked?.times ?? 0) + 1,
      attempt: delivery.attemptsMade,
      ...(slot === undefined ? {} : { slot }),
      ...(parked?.attempt === delivery.attemptsMade && parked.paid ? PAID : NOT_PAID),
      ...by,
    };
    const heard = await this.#store(() => this.deps.ledger.setData(delivery, { ...envelope, parked: note }));
    const delayMs = waitMs + AFTER_SLOT_MS;
    return { come: 'away', verdict: heard ? { do: 'give-back', delayMs } : { do: 'leave' } };
  }

  #store<T>(work: () => Promise<T>): Promise<T> {
    return untilStored(work, this.deps.stopping, this.deps.log);
  }
}

const IN: Entrance = { come: 'in' };
const PAID = { paid: true } as const;
const NOT_PAID = {} as const;

/** The slot that this attempt was given before. */
function slotOf({ attemptsMade }: Delivery, { parked }: TaskEnvelope): number | undefined {
  return parked?.attempt === attemptsMade ? parked.slot : undefined;
}

/**
 * The limit that a call falls under.
 *
 * @throws NonRetryableError when the key cannot be had: without it nothing could be counted
 */
function limitOf(
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
