import type { Ledger, NodeRecord } from '../backend/ledger.js';
import type { Delivery } from '../backend/delivery.js';
import type { CanvasData } from '../canvas/canvas-data.js';
import { BUILT_IN_RECOVERIES } from '../chords/built-in-recoveries.js';
import type { ChordDecision, ChordOutcome, ChordRecovery, MemberOutcome } from '../chords/chord-recovery.js';
import type { ChordDecisionRecord } from '../chords/decision-record.js';
import type { StoredValues } from '../codec/stored-values.js';
import { RecoveryFailedError } from '../errors/task.errors.js';
import { serializeError } from '../failure/serialize-error.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { bodyName, type ChordNode, type InputRef, type NodeEnvelope } from '../flow/envelope.js';
import type { BodyName } from '../flow/ids.js';
import { bounded } from '../primitives/bounded.js';
import type { Clock } from '../primitives/clock.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';
import type { TaskReader } from '../results/task-reader.js';
import { failureRecord, membersFailedRecord } from './failure-record.js';

/** What follows a header with failed members. */
export type AfterHeader =
  | {
      readonly child: BodyName;
      readonly body: CanvasData;
      readonly input: InputRef | undefined;
      readonly strategy: string;
      readonly failed: number;
    }
  | { readonly failure: TaskFailure }
  | 'superseded';

/** A strategy that does not answer must not keep its chord for ever. */
const STRATEGY_TIMEOUT_MS = 60_000;

/** Asks a chord's recovery strategy, once, and says what its answer means for the chord. */
export class ChordRecoverer {
  constructor(
    private readonly ledger: Ledger,
    private readonly reader: TaskReader,
    /** Strategies of the application, by class name. */
    private readonly strategies: ReadonlyMap<string, ChordRecovery>,
    private readonly clock: Clock,
    private readonly values: StoredValues,
  ) {}

  async decide(delivery: Delivery, node: NodeEnvelope): Promise<AfterHeader> {
    if (node.node !== 'chord') throw new TypeError(`a ${node.node} has no recovery`);
    const record = await this.ledger.readNode(delivery.id);
    const decision =
      record.decision ?? (await this.ledger.decideOnce(delivery, await this.#ask(delivery, node, record)));
    if (decision === undefined) return 'superseded';
    const { next } = decision;
    switch (next.run) {
      case 'callback':
        return {
          child: bodyName(node),
          body: node.body,
          input: this.#bodyInput(delivery, node, next),
          strategy: decision.strategy,
          failed: decision.failed,
        };
      case 'fail':
        return {
          failure: { ...failureRecord(delivery, [], undefined, this.clock.wallMs()), error: next.error },
        };
      case 'errback': {
        const members = this.reader.settledPages(delivery.id, node.size);
        const error = { name: 'ChordError', code: 'CHORD_FAILED' };
        return {
          failure: await membersFailedRecord(delivery, error, members, this.clock.wallMs(), record.closing),
        };
      }
    }
  }

  async #ask(delivery: Delivery, node: ChordNode, record: NodeRecord): Promise<ChordDecisionRecord> {
    const { closing } = record;
    const pending = closing?.pending ?? 0;
    const about = {
      strategy: node.recovery,
      failed: node.size - record.values - pending,
      size: node.size,
      ...(pending === 0 ? {} : { pending }),
    };
    if (closing?.follow === 'errback') return { ...about, next: { run: 'errback' } };
    if (closing?.follow === 'successes') {
      return { ...about, strategy: 'deadline', next: { run: 'callback', members: 'successes' } };
    }
    switch (node.recovery) {
      case 'ErrbackOnly':
        return { ...about, next: { run: 'errback' } };
      case 'CallbackWithSuccesses':
        return { ...about, next: { run: 'callback', members: 'successes' } };
      case 'CallbackWithOutcomes':
        return { ...about, next: { run: 'callback', members: 'outcomes' } };
      default:
        return { ...about, next: await this.#askOwn(delivery, node) };
    }
  }

  /** A strategy of the application's. Whatever it does, the chord goes on: what it throws fails the chord. */
  async #askOwn(delivery: Delivery, node: ChordNode): Promise<ChordDecisionRecord['next']> {
    const strategy = this.strategies.get(node.recovery) ?? BUILT_IN_RECOVERIES.get(node.recovery);
    if (strategy === undefined) {
      return this.#failWith(
        new RecoveryFailedError(
          `Chord ${delivery.id} names the recovery "${node.recovery}", which no provider of this application is. ` +
            `Register it in every worker application of this prefix.`,
        ),
      );
    }
    // A store that is away says nothing of the strategy: the chord is taken up again.
    const members = await this.reader.settledOutcomes(delivery.id, node.size);
    try {
      const outcome = this.#outcome(delivery.id, node.size, members);
      const decision = await bounded(
        Promise.resolve().then(() => strategy.recover(outcome)),
        STRATEGY_TIMEOUT_MS,
        () => new Error(`it did not answer within ${STRATEGY_TIMEOUT_MS} ms`),
      );
      return this.#read(decision, node.recovery);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      return this.#failWith(
        new RecoveryFailedError(`The recovery "${node.recovery}" threw: ${reason}`, { cause }),
      );
    }
  }

  #outcome(chordId: string, size: number, stored: readonly MemberOutcome[]): ChordOutcome {
    const members = this.values.read(stored) as readonly MemberOutcome[];
    return {
      chordId,
      size,
      members,
      successes: members.filter((member) => member.status === 'fulfilled'),
      failures: members.filter((member) => member.status === 'rejected'),
    };
  }

  #read(decision: ChordDecision, strategy: string): ChordDecisionRecord['next'] {
    switch (decision.run) {
      case 'callback':
        return { run: 'callback', args: decision.args.map((value) => this.#written(value)) };
      case 'errback':
        return { run: 'errback' };
      case 'fail':
        return this.#failWith(decision.error);
      default:
        throw new TypeError(
          `"${strategy}" answered ${JSON.stringify(decision)}; expected { run: 'callback' | 'errback' | 'fail' }`,
        );
    }
  }

  #written(value: unknown): JsonValue {
    const written = this.values.write(value);
    const offence =
      'found' in written ? { path: 'args[0]', ...written } : findNonJson(written.stored, 'args[0]');
    if (offence) throw new TypeError(`${offence.path} cannot be sent as JSON: it is ${offence.found}`);
    return (written as { readonly stored: JsonValue }).stored;
  }

  #failWith(error: Error): ChordDecisionRecord['next'] {
    return { run: 'fail', error: serializeError(error, (value) => this.values.writeIfPossible(value)) };
  }

  #bodyInput(
    delivery: Delivery,
    node: ChordNode,
    next: Extract<ChordDecisionRecord['next'], { run: 'callback' }>,
  ): InputRef | undefined {
    if ('members' in next) return { from: 'members', node: delivery.id, size: node.size, as: next.members };
    const [value] = next.args;
    return value === undefined ? undefined : { from: 'value', value };
  }
}
