import type { Holder, Ledger } from '../backend/ledger.js';
import type { Publisher } from '../backend/publisher.js';
import { withInheritedHeaders } from '../canvas/canvas-node.js';
import type { CanvasLimits } from '../canvas/canvas-size.js';
import { settleExpiry } from '../canvas/prepare-call.js';
import type { StoredValues } from '../codec/stored-values.js';
import { CannotAddMemberError } from '../errors/publish.errors.js';
import { TaskRevokedError } from '../errors/task.errors.js';
import { compileChild, type CompileContext } from '../flow/compile-canvas.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { Clock } from '../primitives/clock.js';
import type { CompleteCanvas } from '../task/task-context.js';
import type { EngineLog } from './engine-log.js';
import { innerCanvas } from './inner-canvas.js';
import type { Revocation } from './revocation.js';
import { untilStored } from './until-stored.js';

/** What adding members needs. */
export interface MemberAdditionDeps {
  readonly ledger: Ledger;
  readonly publisher: Publisher;
  readonly revocation: Revocation;
  readonly context: () => CompileContext;
  readonly limits: CanvasLimits;
  readonly values: StoredValues;
  readonly clock: Clock;
  readonly log: EngineLog;
}

/** Who adds a member. */
export interface AddingCall {
  readonly delivery: Holder;
  readonly envelope: Pick<TaskEnvelope, 'headers' | 'redriven'>;
  /** Which call of the task it is. */
  readonly call: string;
  /** Ends the waiting for a Redis that is away. */
  readonly signal: AbortSignal;
}

/**
 * Adds members to the group or header around a running task (Celery B078).
 *
 * Nothing above a running task can be released, so there is no race with the join: one transaction, fenced by the
 * task's lock, adds the child, raises the size of its node and notes for which call of which task it did so. An attempt
 * that comes to the same call again finds the note, so a crash at any moment adds nothing twice and loses nothing.
 */
export class MemberAddition {
  constructor(private readonly deps: MemberAdditionDeps) {}

  /** @returns the id of the member */
  async add({ delivery, envelope, call, signal }: AddingCall, given: CompleteCanvas): Promise<string> {
    const { ledger, publisher, revocation, context, limits, values, clock, log } = this.deps;
    const read = innerCanvas(given, limits, values, 'the id of a member follows from that of its group');
    const canvas = withInheritedHeaders(settleExpiry(read, clock.wallMs()), envelope.headers);
    // It follows nothing that was run again, as the task that adds it may.
    const redriven = envelope.redriven && { ...envelope.redriven, changed: [] };
    const compile = (id: string) => compileChild(canvas, id, context(), undefined, undefined, redriven);
    const addition = await untilStored(() => publisher.addMember(delivery, call, compile), signal, log);
    switch (addition.is) {
      case 'added':
      case 'exists':
        // A revocation that came in between has not seen it.
        if (await untilStored(() => ledger.isRevoked(addition.id), signal, log)) {
          await revocation.revokeAdded(addition.id, { terminate: false });
        }
        return addition.id;
      case 'revoked':
        throw new TaskRevokedError(`The group of task ${delivery.id} was revoked; it gets no more members.`);
      case 'superseded':
        throw new CannotAddMemberError(delivery.id, 'its attempt is over');
      case 'closed':
        throw new CannotAddMemberError(delivery.id, 'the header of its chord is closed already');
      case 'open':
        throw new CannotAddMemberError(
          delivery.id,
          'the source of its header is still being read; add after that, or write the member into the source',
        );
      case 'nowhere':
        throw new CannotAddMemberError(
          delivery.id,
          'it is no member of a group or header; put it into one, or replace it by a group',
        );
    }
  }
}
