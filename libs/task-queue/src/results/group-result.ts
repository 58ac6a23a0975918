import type { Outcome } from '../chords/built-in-recoveries.js';
import { settledOutcome } from '../chords/built-in-recoveries.js';
import type { MemberOutcome } from '../chords/chord-recovery.js';
import { ResultUnknownError } from '../errors/result.errors.js';
import { pause } from '../primitives/bounded.js';
import type { JsonValue } from '../primitives/json.js';
import { isTerminal } from '../task/task-state.js';
import { AsyncResult, type GetOptions } from './async-result.js';
import type { MemberCounts } from './task-snapshot.js';

const POLL_MS = { first: 25, max: 500 } as const;

/**
 * A handle on a group: what AsyncResult says about the whole, and what became of each member. Also given for
 * the header of a chord.
 *
 * `R` is what a member returns.
 */
export class GroupResult<R = JsonValue> extends AsyncResult<R[], (R | Error)[]> {
  /** Members that have succeeded so far. */
  async completedCount(): Promise<number> {
    return (await this.counts()).succeeded;
  }

  /** Members that have failed so far. */
  async failedCount(): Promise<number> {
    return (await this.counts()).failed;
  }

  /**
   * How many members have succeeded, failed, or not ended. Of a header that was closed early those stay pending that were so when it
   * was closed, as in `settled()`, whatever they come to: it has ended without them. A redrive of it counts them anew.
   *
   * @throws ResultUnknownError when no group has this id
   */
  async counts(): Promise<MemberCounts> {
    const { counts } = await this.read();
    if (counts === undefined) throw new ResultUnknownError(this.id);
    return counts;
  }

  /** Waits for all members. The same as `get`; Celery's name. */
  join(options: GetOptions & { propagate: false }): Promise<(R | Error)[]>;
  join(options?: GetOptions): Promise<R[]>;
  join(options: GetOptions = {}): Promise<(R | Error)[]> {
    return options.propagate === false ? this.get({ ...options, propagate: false }) : this.get(options);
  }

  /** Values and errors mixed, in definition order, as in Celery. */
  protected override async unpropagated(): Promise<(R | Error)[]> {
    const outcomes = await this.settled({ allowInsideTask: true });
    return outcomes.map((outcome) =>
      outcome.status === 'fulfilled'
        ? outcome.value
        : this.source.errors.revive(outcome.reason.error, outcome.reason),
    );
  }

  /** Waits until all members have ended, and says what each came to, in definition order. */
  async settled(options: GetOptions = {}): Promise<Outcome<R>[]> {
    await this.waitUntilTerminal(options);
    const node = await this.source.reader.node(this.id);
    if (node === undefined || node.node === 'task') throw new ResultUnknownError(this.id);
    const stored = await this.source.reader.settledOutcomes(this.id, node.size);
    const members = this.source.values.read(stored) as MemberOutcome[];
    return members.map((member) => settledOutcome(member) as unknown as Outcome<R>);
  }

  /**
   * Waits until all members have ended, and gives what each came to, in definition order, with memory for a page of
   * them: for groups that are too wide for `settled()`.
   */
  async *outcomes(options: GetOptions = {}): AsyncGenerator<MemberOutcome<R>, void, undefined> {
    await this.waitUntilTerminal(options);
    const node = await this.source.reader.node(this.id);
    if (node === undefined || node.node === 'task') throw new ResultUnknownError(this.id);
    for await (const page of this.source.reader.settledPages(this.id, node.size))
      yield* this.source.values.read(page) as MemberOutcome<R>[];
  }

  /** Members in the order in which they end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<MemberOutcome<R>, void, undefined> {
    const seen = new Set<number>();
    let waitMs: number = POLL_MS.first;
    for (;;) {
      const snapshot = await this.read();
      if (snapshot.state === 'UNKNOWN') throw new ResultUnknownError(this.id);
      const fresh = (await this.source.reader.outcomes(this.id)).filter(({ index }) => !seen.has(index));
      for (const member of fresh) {
        seen.add(member.index);
        yield this.source.values.read(member) as MemberOutcome<R>;
      }
      if (isTerminal(snapshot.state)) return;
      waitMs = fresh.length > 0 ? POLL_MS.first : Math.min(POLL_MS.max, waitMs * 2);
      await pause(waitMs);
    }
  }
}
