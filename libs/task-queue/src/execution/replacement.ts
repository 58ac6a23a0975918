import type { Delivery, Verdict } from '../backend/delivery.js';
import type { JobRef } from '../backend/job-ref.js';
import type { Ledger } from '../backend/ledger.js';
import type { Publisher } from '../backend/publisher.js';
import type { CanvasData } from '../canvas/canvas-data.js';
import { withInheritedHeaders } from '../canvas/canvas-node.js';
import type { CanvasLimits } from '../canvas/canvas-size.js';
import { settleExpiry } from '../canvas/prepare-call.js';
import type { StoredValues } from '../codec/stored-values.js';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import { UndecodablePayloadError } from '../errors/task.errors.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { compileCanvas, type CompileContext } from '../flow/compile-canvas.js';
import { compileStored } from '../flow/compile-stored.js';
import type { ReplacedNote, TaskEnvelope } from '../flow/envelope.js';
import { releasedId } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import { resolveValue } from '../results/resolve-value.js';
import { failureFromReason, failureOfMissing, failureOfRevoked } from '../results/task-snapshot.js';
import { generationOf } from '../task/redriven.js';
import type { CompleteCanvas } from '../task/task-context.js';
import { fieldsOf } from './discretion.js';
import type { EngineLog } from './engine-log.js';
import { innerCanvas } from './inner-canvas.js';
import type { Revocation } from './revocation.js';
import { untilStored } from './until-stored.js';

/** What replacing tasks needs. */
export interface ReplacementDeps {
  readonly ledger: Ledger;
  readonly publisher: Publisher;
  readonly revocation: Revocation;
  readonly context: () => CompileContext;
  readonly clock: Clock;
  readonly log: EngineLog;
  readonly stopping: AbortSignal;
}

/** Where a replaced task stands after one activation. */
export type ReplacedEnd =
  | { readonly end: 'value'; readonly value: JsonValue }
  | { readonly end: 'failure'; readonly failure: TaskFailure }
  /** Its job does not hold what it could be replaced by. */
  | { readonly end: 'error'; readonly error: Error }
  /** It has not come to its end yet, or belongs to somebody else by now. */
  | { readonly end: 'none'; readonly verdict: Verdict };

/** Replacements inside replacements; each of them waits for the one below. */
const MAX_DEPTH = 512;
const TRY_AGAIN_MS = 500;

/**
 * Puts a canvas in a running task's place.
 *
 * The task's job becomes the flow parent of the canvas: it leaves its worker's slot, waits, and is run once more when
 * the canvas has ended, only to settle as that did. So whatever waits for the task, a handle, a node, a callback, waits
 * on, and knows nothing of it. The canvas is one of its own: its id follows from the task's, and it has its own records.
 * It is kept as long as the canvas around the task (semantics 20).
 *
 * A crash between any two commands changes nothing, as with the nodes of a canvas: the intention is noted together with
 * the canvas (fenced), the canvas is added (only while the lock is held), the deed is noted (fenced). The note lies in the
 * task's own data, where the next activation finds it before it would call the handler.
 */
export class Replacement {
  constructor(private readonly deps: ReplacementDeps) {}

  /** @throws when the store does not answer before the worker has to stop */
  begin(delivery: Delivery, envelope: TaskEnvelope, canvas: CanvasData): Promise<ReplacedEnd> {
    const settled = settleExpiry(canvas, this.deps.clock.wallMs());
    return this.#guarded(delivery, () =>
      this.#add(delivery, envelope, withInheritedHeaders(settled, envelope.headers)),
    );
  }

  /** The activation of a task that has been replaced: after its canvas has ended, or after a crash. */
  resume(delivery: Delivery, envelope: TaskEnvelope, note: ReplacedNote): Promise<ReplacedEnd> {
    return this.#guarded(delivery, () => this.#look(delivery, envelope, note));
  }

  async #add(delivery: Delivery, envelope: TaskEnvelope, canvas: CanvasData): Promise<ReplacedEnd> {
    const { ledger, publisher, revocation, context, stopping, log } = this.deps;
    const id = releasedId(delivery.id, 'replacement', 0, generationOf(envelope));
    const { redriven } = envelope;
    const plan = compileStored(canvas, 'replacement', (read) =>
      compileCanvas(read, id, context(), undefined, redriven),
    );
    const by: JobRef = { queue: plan.job.queue, id: plan.job.id };
    const adding: TaskEnvelope = { ...envelope, replaced: { state: 'adding', by, canvas } };
    if (!(await untilStored(() => ledger.setReplaced(delivery, adding, by), stopping, log))) return LEFT;
    if ((await publisher.publishUnder(delivery, plan)) === 'superseded') return LEFT;
    const added: ReplacedNote = { state: 'added', by };
    const noted = { ...envelope, replaced: added };
    if (!(await untilStored(() => ledger.setData(delivery, noted), stopping, log))) return LEFT;
    // A revocation that came in between has not seen it.
    if (await ledger.isRevoked(delivery.id)) await revocation.revokeAdded(by.id, { terminate: false });
    return this.#look(delivery, envelope, added);
  }

  async #look(delivery: Delivery, envelope: TaskEnvelope, note: ReplacedNote): Promise<ReplacedEnd> {
    const { ledger } = this.deps;
    const child = await ledger.readChild(note.by, delivery);
    switch (child.end) {
      case 'succeeded':
        // Only nodes refer to what others came to: the value of a task is always the value itself.
        return { end: 'value', value: await resolveValue(child.value, ledger) };
      case 'failed':
        return failed(
          (await ledger.readFailure(note.by.id)) ??
            failureFromReason(note.by.id, note.by.queue, child.reason),
        );
      case 'pending':
        return (await delivery.waitForChildren()) ? LEFT : this.#look(delivery, envelope, note);
      case 'missing':
        return this.#missing(delivery, envelope, note);
    }
  }

  /** Not added yet, revoked while it waited, or removed by hand. */
  async #missing(delivery: Delivery, envelope: TaskEnvelope, note: ReplacedNote): Promise<ReplacedEnd> {
    const { ledger } = this.deps;
    const record = await ledger.readFailure(note.by.id);
    if (record !== undefined) return failed(record);
    if (await ledger.isRevoked(delivery.id)) {
      return failed(failureOfRevoked(delivery.id, delivery.name, delivery.queue, this.deps.clock.wallMs()));
    }
    return note.canvas === undefined
      ? failed(failureOfMissing(note.by.id, false))
      : this.#add(delivery, envelope, note.canvas);
  }

  /** When Redis goes away in the middle, the task is taken up again and goes on from its note. */
  async #guarded(delivery: Delivery, work: () => Promise<ReplacedEnd>): Promise<ReplacedEnd> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof UndecodablePayloadError) return { end: 'error', error };
      this.deps.log.warn(
        `${delivery.name} ${delivery.id} could not be replaced and is taken up again: ${String(error)}`,
        fieldsOf(delivery),
      );
      return { end: 'none', verdict: { do: 'give-back', delayMs: TRY_AGAIN_MS } };
    }
  }
}

/**
 * The canvas that a task wants to be replaced by, as it can be published.
 *
 * @throws InvalidCanvasError, UnserializableArgumentError, ArgumentTooLargeError, CanvasTooLargeError
 */
export function checkReplacement(
  taskId: string,
  item: number | undefined,
  canvas: CompleteCanvas,
  limits: CanvasLimits,
  values: StoredValues,
): CanvasData {
  if (item !== undefined) {
    throw new InvalidCanvasError(
      'root',
      'an item of a map, starmap or chunk cannot be replaced, because its job goes on with the next one; use a group',
    );
  }
  if (taskId.split('.replacement.').length > MAX_DEPTH) {
    throw new InvalidCanvasError('root', `replacements are nested deeper than ${MAX_DEPTH} levels`);
  }
  return innerCanvas(canvas, limits, values, 'a replacement takes the id of the task that it replaces');
}

const LEFT: ReplacedEnd = { end: 'none', verdict: { do: 'leave' } };

function failed(failure: TaskFailure): ReplacedEnd {
  return { end: 'failure', failure };
}
