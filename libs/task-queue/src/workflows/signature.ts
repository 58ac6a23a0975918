import type { SignatureData } from '../canvas/canvas-data.js';
import type { JsonValue } from '../primitives/json.js';
import type { AsyncResult } from '../results/async-result.js';
import { CanvasValue } from './canvas-value.js';
import type { CanvasPublisher } from './port.js';

/**
 * A call of one task, not published yet.
 *
 * `Missing` are the arguments that are not given so far. Late arguments go in FRONT of the stored ones: of
 * `f(a, b)` the partial `f.s(b)` still misses `[a]`. `Signature<[ContractSummary[]], Report>` is what fits as
 * the body of a chord of ContractSummary.
 *
 * A complete signature (`Missing` is `[]`) fits where a canvas puts no value in: alone, as the first step of a
 * chain, as a member. As a later step, a callback or a body the value would come in front of its arguments and
 * shift them all, so that does not compile: say with `.si(…)` or `.immutable()` that it ignores the value.
 */
export class Signature<Missing extends unknown[], R, Input extends unknown[] = Missing> extends CanvasValue<
  SignatureData,
  Missing,
  R,
  Input,
  AsyncResult<R>
> {
  /** The task's name. */
  get task(): string {
    return this.toJSON().task;
  }

  /** Ignores the value that a canvas would put in front of its arguments. Only a complete one can. */
  immutable(this: Signature<[], R, never>): Signature<[], R, unknown[]> {
    return new Signature(this.publisher, this.closed());
  }

  protected copy(data: SignatureData): this {
    return new Signature<Missing, R, Input>(this.publisher, data) as this;
  }

  protected publish(data: SignatureData): Promise<AsyncResult<R>> {
    return this.publisher.publish<R>(data);
  }
}

/**
 * A signature over data. Of a task that this program does not know, nothing is known about its types: say
 * what it returns, and what it misses.
 */
export function createSignature<R = JsonValue, Missing extends unknown[] = unknown[]>(
  publisher: CanvasPublisher,
  data: SignatureData,
): Signature<Missing, R> {
  return new Signature(publisher, data);
}
