import type { BreakerRecord, BreakerStore } from '../backend/breaker-store.js';
import type { Breaker } from '../breaker/breaker-options.js';
import {
  type BreakerAnswer,
  type BreakerChange,
  type BreakerPhase,
  FOREVER,
} from '../breaker/breaker-state.js';
import type { RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';
import {
  ASK_BREAKER,
  READ_BREAKER,
  REPORT_TO_BREAKER,
  RESET_BREAKER,
  TRIP_BREAKER,
} from './scripts/breaker.js';
import type { Script } from './scripts/script.js';

/** By the clock of the server. */
const SERVER_CLOCK = '';

type ChangeReply = readonly [phase: BreakerPhase, until: string, why: string];
type AskReply = readonly [
  go: number,
  epochOrWait: string | number,
  isProbe: number,
  change?: ChangeReply | null,
];

/** Breakers in Redis: a small hash each. */
export class RedisBreakers implements BreakerStore {
  constructor(
    private readonly keys: RedisKeys,
    private readonly scripts: ScriptRunner,
  ) {}

  async ask({ name, rule }: Breaker): Promise<BreakerAnswer> {
    const { partMs, openMs, probeMs, releaseMs } = rule;
    const reply = await this.#run(ASK_BREAKER, name, [partMs, openMs, probeMs, releaseMs]);
    const [go, first, isProbe, changed] = reply as AskReply;
    const change = changed ? { change: changeIn(changed) } : {};
    return go === 1
      ? { go: true, epoch: Number(first), isProbe: isProbe === 1, ...change }
      : { go: false, waitMs: Number(first), ...change };
  }

  async report(
    { name, rule }: Breaker,
    { epoch, failed }: { readonly epoch: number; readonly failed: boolean },
  ): Promise<BreakerChange | undefined> {
    const { threshold, share, partMs, openMs, closeAfter } = rule;
    const args = [epoch, failed ? 1 : 0, threshold, share, partMs, openMs, closeAfter];
    const reply = (await this.#run(REPORT_TO_BREAKER, name, args)) as ChangeReply | null;
    return reply === null ? undefined : changeIn(reply);
  }

  async trip(name: string, ms: number | undefined, why: string): Promise<BreakerChange> {
    return changeIn((await this.#run(TRIP_BREAKER, name, [ms ?? '', why])) as ChangeReply);
  }

  async reset(name: string): Promise<BreakerChange | undefined> {
    const reply = (await this.#run(RESET_BREAKER, name, [])) as ChangeReply | null;
    return reply === null ? undefined : changeIn(reply);
  }

  read(names: readonly string[]): Promise<BreakerRecord[]> {
    return Promise.all(
      names.map(async (name) => {
        const reply = await this.#run(READ_BREAKER, name, []);
        const [phase, epoch, until, why] = reply as [BreakerPhase, string, string, string];
        const untilMs = phase === 'open' && Number(until) < FOREVER ? Number(until) : undefined;
        return { name, phase, sinceMs: Number(epoch) || undefined, untilMs, why };
      }),
    );
  }

  async troubled(): Promise<readonly string[]> {
    return this.scripts.ask((client) => client.smembers(this.keys.troubledBreakers));
  }

  #run(script: Script, name: string, args: readonly (string | number)[]): Promise<unknown> {
    const keys = [this.keys.breaker(name), this.keys.troubledBreakers];
    return this.scripts.run(script, keys, [name, SERVER_CLOCK, ...args]);
  }
}

function changeIn([to, until, why]: ChangeReply): BreakerChange {
  return { to, why, ...(until === '' ? {} : { untilMs: Number(until) }) };
}
