import type { BreakerRecord } from '../backend/breaker-store.js';
import { assertBreakerName } from '../breaker/breaker-options.js';
import type { BreakerPhase } from '../breaker/breaker-state.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { readDuration, readObject } from '../options/option-readers.js';
import type { Duration } from '../primitives/duration.js';
import type { TaskQueueEngine } from './task-queue-engine.js';

/** How a breaker stands, for all workers. */
export interface BreakerState {
  readonly name: string;
  readonly state: BreakerPhase;
  /** When it became so, ISO 8601 by the clock of Redis; absent for one that has not changed lately. */
  readonly since?: string;
  /** Until when it is open, ISO 8601; absent where it is not, or was opened by hand for good. */
  readonly until?: string;
  /** Why it is not closed; absent where it is. */
  readonly why?: string;
}

/** How a breaker is opened by hand. */
export interface TripOptions {
  /** For how long, before tasks probe whether the resource works. @defaultValue until it is reset */
  readonly for?: Duration;
  /** For those who look, e.g. in health checks. @defaultValue 'opened by hand' */
  readonly why?: string;
}

/**
 * The breakers of one registration, from any process of its prefix. `workflows.breakers` gives it.
 *
 * Tasks that were parked come back at the times that they were given: after a reset too, within what the breaker's
 * `openFor` and `release` say.
 */
export class Breakers {
  constructor(private readonly engine: TaskQueueEngine) {}

  /** Those of this application's tasks, and all that are not closed, by name. @throws BrokerUnavailableError */
  async list(): Promise<readonly BreakerState[]> {
    const { registry, backend } = this.engine;
    const own = registry.all().flatMap(({ breaker }) => (breaker === undefined ? [] : [breaker.name]));
    const names = [...new Set([...own, ...(await backend.breakers.troubled())])].sort();
    return (await backend.breakers.read(names)).map(stateOf);
  }

  /** One that nobody knows is closed. @throws InvalidOptionsError, BrokerUnavailableError */
  async get(name: string): Promise<BreakerState> {
    const [record] = await this.engine.backend.breakers.read([readName(name)]);
    return record === undefined ? { name, state: 'closed' } : stateOf(record);
  }

  /**
   * Opens a breaker, e.g. before the maintenance of its resource.
   *
   * @throws InvalidOptionsError, BrokerUnavailableError
   */
  async trip(name: string, options: TripOptions = {}): Promise<void> {
    const { for: time, why = 'opened by hand' } = readObject('', options, ['for', 'why']);
    if (typeof why !== 'string' || why.length > MAX_WHY) {
      throw new InvalidOptionsError('why', `a text of at most ${MAX_WHY} characters`, why);
    }
    const ms = time === undefined ? undefined : readDuration('for', time, ANY_TIME);
    const change = await this.engine.backend.breakers.trip(readName(name), ms, why);
    this.engine.tellBreaker.changed(name, change);
  }

  /** Closes a breaker. @returns whether it was not closed. @throws InvalidOptionsError, BrokerUnavailableError */
  async reset(name: string): Promise<boolean> {
    const change = await this.engine.backend.breakers.reset(readName(name));
    if (change !== undefined) this.engine.tellBreaker.changed(name, change);
    return change !== undefined;
  }
}

const MAX_WHY = 200;
const ANY_TIME = { min: 1, max: 10 * 366 * 86_400_000 };

function readName(name: unknown): string {
  try {
    assertBreakerName(name);
    return name;
  } catch {
    throw new InvalidOptionsError('name', '1 to 200 characters without spaces', name);
  }
}

function stateOf({ name, phase, sinceMs, untilMs, why }: BreakerRecord): BreakerState {
  return {
    name,
    state: phase,
    ...(sinceMs === undefined ? {} : { since: new Date(sinceMs).toISOString() }),
    ...(untilMs === undefined ? {} : { until: new Date(untilMs).toISOString() }),
    ...(phase === 'closed' ? {} : { why }),
  };
}
