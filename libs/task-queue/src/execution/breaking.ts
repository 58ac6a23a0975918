import type { BreakerStore } from '../backend/breaker-store.js';
import type { Breaker } from '../breaker/breaker-options.js';
import { TaskRevokedError } from '../errors/task.errors.js';
import { matchesAny } from '../retry/retry-policy.js';
import type { BreakerAnnouncer } from './breaker-announcer.js';
import type { EngineLog } from './engine-log.js';
import type { Outcome } from './outcome.js';
import { untilStored } from './until-stored.js';

/** What the breaking of tasks needs. */
export interface BreakingDeps {
  readonly store: BreakerStore;
  readonly tell: BreakerAnnouncer;
  readonly log: EngineLog;
  readonly stopping: AbortSignal;
}

/** That a call was let in by a breaker: shown when it has ended. */
export interface BreakerPass {
  readonly breaker: Breaker;
  readonly epoch: number;
  readonly isProbe: boolean;
}

/** Keeps tasks from resources that do not work. */
export class Breaking {
  constructor(private readonly deps: BreakingDeps) {}

  /**
   * Whether a call may begin, or after which time it is to ask again.
   *
   * @throws when the worker is shut down before the store has answered
   */
  async ask(breaker: Breaker): Promise<BreakerPass | { readonly waitMs: number }> {
    const { store, tell, log, stopping } = this.deps;
    const answer = await untilStored(() => store.ask(breaker), stopping, log);
    if (answer.change !== undefined) tell.changed(breaker.name, answer.change);
    return answer.go ? { breaker, epoch: answer.epoch, isProbe: answer.isProbe } : { waitMs: answer.waitMs };
  }

  /** Says what a call has come to, where that is of interest: every failure, and of probes also what was none. */
  async report({ breaker, epoch, isProbe }: BreakerPass, outcome: Outcome): Promise<void> {
    const failed = hasFailed(outcome, breaker);
    if (failed === undefined || (!failed && !isProbe)) return;
    const { store, tell, log } = this.deps;
    try {
      const change = await store.report(breaker, { epoch, failed });
      if (change !== undefined) tell.changed(breaker.name, change);
    } catch (error) {
      log.warn(`Breaker ${breaker.name} was not told of a call: ${String(error)}`, { breaker: breaker.name });
    }
  }
}

/** Whether a call was a failure of the resource; undefined where it says nothing of it. */
function hasFailed(outcome: Outcome, { failures }: Breaker): boolean | undefined {
  switch (outcome.kind) {
    case 'succeeded':
    case 'replaced':
      return false;
    case 'retry':
    case 'failed':
      return isRevoked(outcome.error) ? undefined : matchesAny(outcome.error, failures);
    case 'lost':
    case 'waits':
    case 'returned':
    case 'superseded':
      return undefined;
  }
}

function isRevoked(error: unknown): boolean {
  return error instanceof TaskRevokedError;
}
