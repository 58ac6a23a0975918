import type { ChildRecord, DispatchRecord, Ledger, NodeRecord, Stage } from '../backend/ledger.js';
import type { Delivery, Verdict } from '../backend/delivery.js';
import type { Publisher } from '../backend/publisher.js';
import type { Refills } from '../backend/refills.js';
import { UndecodablePayloadError } from '../errors/task.errors.js';
import type { ChordRecoverer } from './chord-recoverer.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { advanceNode, type NodeStep } from '../flow/advance-node.js';
import { compileChild, type CompileContext } from '../flow/compile-canvas.js';
import { compileStored } from '../flow/compile-stored.js';
import { decodeNode, isLetterRelease } from '../flow/decode-envelope.js';
import { type InputRef, type NodeEnvelope, withSize } from '../flow/envelope.js';
import { MAX_TREE } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId, parentOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import { type StoredValue, ValueRef } from '../flow/stored-value.js';
import { resolveValue } from '../results/resolve-value.js';
import type { JsonValue } from '../primitives/json.js';
import { generationOf, type Redriven } from '../task/redriven.js';
import type { TaskReader } from '../results/task-reader.js';
import {
  failureFromReason,
  failureOfMissing,
  failureOfRevoked,
  incompleteError,
} from '../results/task-snapshot.js';
import type { CanvasAnnouncer } from './canvas-announcer.js';
import { type Discretion, fieldsOf } from './discretion.js';
import { keptValue, listOfMembers } from './node-value.js';
import { endOf, type Position, positionBefore, positionOf } from './node-position.js';
import type { Revocation } from './revocation.js';
import type { EngineLog } from './engine-log.js';
import type { DeadlineTimer } from './deadline-timer.js';
import type { HeaderJudge } from './header-judge.js';
import type { LateMembers } from './late-members.js';
import { failureRecord, membersFailedRecord } from './failure-record.js';
import type { CallbackRelease } from './publish-callbacks.js';
import { type FailureSettling, shown } from './failure-settling.js';
import type { HookRunner } from './hook-runner.js';

/** What the execution of composite nodes needs. */
export interface NodeProcessorDeps {
  readonly ledger: Ledger;
  readonly reader: TaskReader;
  readonly publisher: Publisher;
  readonly refills: Refills;
  readonly callbacks: CallbackRelease;
  readonly recoverer: ChordRecoverer;
  readonly judge: HeaderJudge;
  readonly timer: DeadlineTimer;
  readonly late: LateMembers;
  readonly revocation: Revocation;
  readonly failures: FailureSettling;
  readonly hooks: HookRunner;
  readonly context: () => CompileContext;
  readonly resultExpiresMs: number;
  /** Up to which length a value travels inside of its canvas. */
  readonly inlineCharacters: number;
  readonly clock: Clock;
  readonly log: EngineLog;
  readonly tell: CanvasAnnouncer;
  readonly discretion: Discretion;
}

/** When Redis went away in the middle of a node, or its hold is at work, it is taken up again after this long. */
const TRY_AGAIN_MS = 500;

/**
 * One activation of one composite: look what became of the children, decide, do it.
 *
 * The decision is `advanceNode`; here is only how it is carried out so that a crash between any two commands
 * changes nothing. Adding a child is three steps: note the intention (fenced), add the child (only while the
 * lock is held), note that it is there (fenced). Settling is three steps as well: write the outcome once,
 * release callbacks under fixed ids, end the job. An activation after a crash finds the notes and goes on.
 */
export class NodeProcessor {
  constructor(private readonly deps: NodeProcessorDeps) {}

  async process(delivery: Delivery): Promise<Verdict> {
    try {
      return isLetterRelease(delivery.data)
        ? await this.deps.hooks.run(delivery.data)
        : await this.#lead(delivery);
    } catch (error) {
      return this.#unforeseen(delivery, error);
    }
  }

  async #lead(delivery: Delivery): Promise<Verdict> {
    let node: NodeEnvelope | undefined;
    try {
      const decoded = decodeNode(delivery.data);
      if (decoded.node === 'sentinel') {
        // Of a header that is being redriven: what has not been put back stays failed.
        await this.deps.refills.giveUp(parentOf(delivery.id) ?? '', decoded.generation ?? 0);
        return {
          do: 'fail',
          message: 'DispatchIncompleteError: the producer stopped before the header was complete',
        };
      }
      if (decoded.node === 'hold') return await this.deps.judge.holdOn(delivery);
      if (decoded.node === 'deadline') return await this.deps.timer.tick(delivery, decoded);
      if (decoded.node === 'late') return await this.deps.late.activate(delivery);
      node = decoded;
      for (;;) {
        const verdict = await this.#activate(delivery, node);
        if (verdict !== 'again') return verdict;
      }
    } catch (error) {
      if (!(error instanceof UndecodablePayloadError)) throw error;
      return this.#refuse(delivery, node, error);
    }
  }

  /**
   * A job that somebody else wrote, or changed: it leaves a dead letter, as such a task does.
   *
   * @param node where it can be read as far as it has begun
   */
  async #refuse(delivery: Delivery, node: NodeEnvelope | undefined, error: Error): Promise<Verdict> {
    const verdict = await this.deps.failures.settle(delivery, { args: [] }, error);
    if (verdict.do !== 'fail') return verdict;
    if (node === undefined) return (await this.#startExpiry(delivery)) ? verdict : { do: 'leave' };
    const { stage } = await this.deps.ledger.readNode(delivery.id);
    const failure = failureRecord(delivery, [], error, this.deps.clock.wallMs());
    return this.#fail(delivery, node, stage?.stage ?? 0, failure);
  }

  /** @returns 'again' when the child that was added has ended before the node could wait for it */
  async #activate(delivery: Delivery, published: NodeEnvelope): Promise<Verdict | 'again'> {
    const record = await this.deps.ledger.readNode(delivery.id);
    const node = withSize(published, record.size);
    if (record.failure !== undefined)
      return this.#fail(delivery, node, record.stage?.stage ?? 0, record.failure);
    const look = await this.deps.judge.look(delivery, node, record);
    if (look === 'later') return { do: 'give-back', delayMs: TRY_AGAIN_MS };
    if (look !== 'go-on') return look === 'again' ? look : { do: 'leave' };
    if (record.pending > 0) {
      // Members that a producer added in the moment of the revocation.
      if (record.revoked && record.dispatch !== undefined) await this.#revokeBelow(delivery, node);
      if (record.stage?.state === 'adding' && !record.revoked) {
        return this.#addAgain(delivery, node, record, record.stage);
      }
      return this.#wait(delivery);
    }
    const { closing, dispatch } = record;
    const isPart = dispatch !== undefined && dispatch.state !== 'sealed';
    const isCutShort = closing === undefined || closing.follow === 'incomplete';
    if (isPart && isCutShort && record.stage === undefined) {
      return this.#fail(delivery, node, 0, this.#incomplete(delivery, published, record, dispatch));
    }
    const at = await positionOf(this.deps.ledger, delivery.id, node, record.stage);
    const step = advanceNode(node, {
      stage: at.stage,
      child: endOf(at.end),
      succeeded: record.values,
      failed: record.failures,
      isClosed: closing !== undefined,
    });
    // What has come to its end before the revocation stands; nothing more is begun after it.
    if (
      record.revoked &&
      step.do !== 'settle-list' &&
      !(step.do === 'settle-child' && step.end === 'succeeded')
    ) {
      return this.#fail(
        delivery,
        node,
        at.stage,
        failureOfRevoked(delivery.id, delivery.name, CANVAS_QUEUE, this.deps.clock.wallMs()),
      );
    }
    return this.#carryOut(delivery, node, { ...at, closing }, step);
  }

  /** Why a node ends whose members were not all published. A part of a header is not taken for the whole of it. */
  #incomplete(
    delivery: Delivery,
    published: NodeEnvelope,
    { revoked, size }: NodeRecord,
    dispatch: DispatchRecord,
  ): TaskFailure {
    const nowMs = this.deps.clock.wallMs();
    if (revoked) return failureOfRevoked(delivery.id, delivery.name, CANVAS_QUEUE, nowMs);
    const total = size === undefined ? sizeOf(published) : undefined;
    return {
      ...failureRecord(delivery, [], undefined, nowMs),
      error: incompleteError(dispatch, total),
    };
  }

  /**
   * An activation that was cut off while it added a child. One that is wide was perhaps opened and not filled: it goes on
   * where it was. The others are there as a whole.
   */
  async #addAgain(
    delivery: Delivery,
    node: NodeEnvelope,
    record: NodeRecord,
    noted: Stage,
  ): Promise<Verdict | 'again'> {
    const at = await positionBefore(this.deps.ledger, delivery.id, node, noted);
    const { values: succeeded, failures: failed, closing } = record;
    const isClosed = closing !== undefined;
    const step = advanceNode(node, { stage: at.stage, child: endOf(at.end), succeeded, failed, isClosed });
    return step.do === 'add' || step.do === 'recover'
      ? this.#carryOut(delivery, node, { ...at, closing }, step, true)
      : this.#wait(delivery);
  }

  async #carryOut(
    delivery: Delivery,
    node: NodeEnvelope,
    at: Position,
    step: NodeStep,
    isThere = false,
  ): Promise<Verdict | 'again'> {
    const { reader, clock, recoverer } = this.deps;
    switch (step.do) {
      case 'settle-child':
        return at.end?.end === 'succeeded'
          ? this.#succeed(
              delivery,
              node,
              at.child === undefined
                ? at.end.value
                : keptValue(at.end.value, at.child, this.deps.inlineCharacters),
            )
          : this.#fail(
              delivery,
              node,
              at.stage,
              await this.#childFailure(delivery, childId(delivery.id, step.child), at.end),
            );
      case 'settle-list': {
        const { ledger, inlineCharacters } = this.deps;
        return this.#succeed(
          delivery,
          node,
          await listOfMembers(ledger, delivery.id, sizeOf(node), inlineCharacters),
        );
      }
      case 'settle-members-failed': {
        const members = reader.settledPages(delivery.id, sizeOf(node));
        const error = { name: 'GroupError', code: 'GROUP_FAILED' };
        return this.#fail(
          delivery,
          node,
          at.stage,
          await membersFailedRecord(delivery, error, members, clock.wallMs(), at.closing),
        );
      }
      case 'recover': {
        const next = await recoverer.decide(delivery, node);
        if (next === 'superseded') return { do: 'leave' };
        if ('failure' in next) {
          return this.#fail(delivery, node, at.stage, this.deps.discretion.failure(next.failure));
        }
        this.deps.log.warn(
          `chord ${delivery.id} is recovered by ${next.strategy}: ${next.failed} members failed`,
          fieldsOf(delivery),
        );
        const recovered = { strategy: next.strategy, failed: next.failed, size: sizeOf(node) };
        const body = { child: next.child, canvas: next.body, recovered };
        return this.#add(delivery, node, at, body, next.input, isThere);
      }
      case 'add':
        return this.#add(delivery, node, at, step, this.#inputOf(delivery, node, at, step.input), isThere);
    }
  }

  async #add(
    delivery: Delivery,
    node: NodeEnvelope,
    at: Position,
    { child, canvas, recovered }: Addition,
    input: InputRef | undefined,
    isThere: boolean,
  ): Promise<Verdict | 'again'> {
    const { ledger, publisher, context } = this.deps;
    const id = childId(delivery.id, child);
    // A body follows all that was run again, a step only the one before it.
    const redriven = typeof child === 'string' ? node.redriven : sameGeneration(node);
    const plan = compileStored(canvas, typeof child === 'string' ? 'body' : 'step', (read) =>
      compileChild(read, id, context(), input, node.inherit, redriven),
    );
    if (isThere && plan.size <= MAX_TREE) return this.#wait(delivery);
    const stage: Omit<Stage, 'state'> = {
      stage: at.stage + 1,
      child: { queue: plan.job.queue, id: plan.job.id },
      ...(at.child === undefined ? {} : { before: at.child }),
    };
    if (!(await ledger.setStage(delivery, { ...stage, state: 'adding' }))) return { do: 'leave' };
    if ((await publisher.publishUnder(delivery, plan)) === 'superseded') return { do: 'leave' };
    if (!(await ledger.setStage(delivery, { ...stage, state: 'added' }))) return { do: 'leave' };
    if (typeof child === 'string') this.deps.tell.bodyReleased(delivery, plan.job.id, recovered);
    // A revocation that came while the child was added has not seen it.
    if (await ledger.isRevoked(delivery.id)) await this.#revokeBelow(delivery, node);
    return this.#wait(delivery);
  }

  /** Nothing of a later generation: whoever comes late with it may find the node redriven. */
  #revokeBelow({ id }: Delivery, node: NodeEnvelope): Promise<void> {
    return this.deps.revocation.revokeBelow(id, { terminate: false }, undefined, generationOf(node));
  }

  async #wait(delivery: Delivery): Promise<Verdict | 'again'> {
    return (await delivery.waitForChildren()) ? { do: 'leave' } : 'again';
  }

  async #succeed(delivery: Delivery, node: NodeEnvelope, value: StoredValue): Promise<Verdict> {
    if (node.links !== undefined) {
      if (!(await this.deps.ledger.settleValue(delivery, value))) return { do: 'leave' };
      // They are canvases of their own, which may outlive this one.
      await this.deps.callbacks.links(node, delivery.id, await resolveValue(value, this.deps.ledger));
    }
    if (!(await this.#startExpiry(delivery))) return { do: 'leave' };
    return this.deps.tell.success({ do: 'complete', value: value as JsonValue }, delivery);
  }

  async #fail(delivery: Delivery, node: NodeEnvelope, stage: number, failure: TaskFailure): Promise<Verdict> {
    const { ledger, callbacks, log } = this.deps;
    const settled = await ledger.settleFailure(delivery, failure);
    if (settled === undefined) return { do: 'leave' };
    await callbacks.errbacks(node, delivery.id, settled);
    if (!(await this.#startExpiry(delivery))) return { do: 'leave' };
    if (parentOf(delivery.id) === undefined) {
      const line = `${delivery.name} ${delivery.id} failed: ${settled.error.name}: ${settled.error.message}`;
      if (settled.reason === 'revoked') log.warn(line, fieldsOf(delivery));
      else log.error(line, undefined, fieldsOf(delivery));
    }
    return this.deps.tell.failure({ do: 'fail', ...shown(settled) }, delivery, node, stage, settled);
  }

  async #startExpiry(delivery: Delivery): Promise<boolean> {
    if (parentOf(delivery.id) !== undefined) return true;
    const { ledger, clock, resultExpiresMs } = this.deps;
    return ledger.startExpiry(delivery, clock.wallMs(), resultExpiresMs);
  }

  async #childFailure(delivery: Delivery, id: string, child: ChildRecord | undefined): Promise<TaskFailure> {
    if (child?.end !== 'failed')
      return (await this.deps.ledger.readFailure(id)) ?? failureOfMissing(id, false);
    return (
      (await this.deps.ledger.readFailure(id)) ??
      failureFromReason(id, CANVAS_QUEUE, child.reason, delivery.name)
    );
  }

  #inputOf(
    delivery: Delivery,
    node: NodeEnvelope,
    at: Position,
    input: Extract<NodeStep, { do: 'add' }>['input'],
  ): InputRef | undefined {
    if (input.of === 'members')
      return { from: 'members', node: delivery.id, size: sizeOf(node), as: input.as };
    if (at.end?.end !== 'succeeded' || at.child === undefined) return undefined;
    const { value } = at.end;
    return !(value instanceof ValueRef) && JSON.stringify(value).length <= this.deps.inlineCharacters
      ? { from: 'value', value }
      : { from: 'child', ...at.child };
  }

  /** Redis went away, or there is a defect of ours: the node is taken up again, and nothing is lost. */
  #unforeseen(delivery: Delivery, error: unknown): Verdict {
    const message = error instanceof Error ? error.message : String(error);
    this.deps.log.warn(
      `${delivery.name} ${delivery.id} could not go on and is taken up again: ${message}`,
      fieldsOf(delivery),
    );
    return { do: 'give-back', delayMs: TRY_AGAIN_MS };
  }
}

function sameGeneration({ redriven }: NodeEnvelope): Redriven | undefined {
  return redriven && { generation: redriven.generation, changed: [] };
}

/** A child to be added. */
type Addition = Pick<Extract<NodeStep, { do: 'add' }>, 'child' | 'canvas'> & {
  /** How a chord came to its body although members failed. */
  readonly recovered?: { readonly strategy: string; readonly failed: number; readonly size: number };
};

function sizeOf(node: NodeEnvelope): number {
  return node.node === 'task' ? 1 : node.size;
}
