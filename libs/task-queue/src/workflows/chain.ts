import type { ChainData } from '../canvas/canvas-data.js';
import { makeChain } from '../canvas/chain.js';
import type { AsyncResult } from '../results/async-result.js';
import type { AnyCanvas, Follower, InputOf, MissingOf, ResultOf } from './canvas-types.js';
import { CanvasValue } from './canvas-value.js';
import type { CanvasPublisher } from './port.js';

/**
 * Steps one after the other; each gets the value of the one before in front of its arguments. It misses what
 * its first step misses, and its value is the last step's.
 */
export class Chain<Missing extends unknown[], R, Input extends unknown[] = Missing> extends CanvasValue<
  ChainData,
  Missing,
  R,
  Input,
  AsyncResult<R>
> {
  /** Ignores the value that a canvas would put into its first step. */
  immutable(this: Chain<[], R, never>): Chain<[], R, unknown[]> {
    return new Chain(this.publisher, this.closed());
  }

  protected copy(data: ChainData): this {
    return new Chain<Missing, R, Input>(this.publisher, data) as this;
  }

  protected publish(data: ChainData): Promise<AsyncResult<R>> {
    return this.publisher.publish<R>(data);
  }
}

/** The chain of these steps. */
export type ChainOf<Steps extends readonly AnyCanvas[]> = Chain<
  MissingOf<FirstOf<Steps>>,
  ResultOf<LastOf<Steps>>,
  InputOf<FirstOf<Steps>>
>;

/**
 * The steps themselves where each fits the value of the one before; else what would have to stand there, so
 * that the compiler points at the step that does not fit.
 */
export type ChainSteps<Steps extends readonly AnyCanvas[]> = Steps extends readonly []
  ? [step: AnyCanvas]
  : Steps extends FittingSteps<Steps>
    ? Steps
    : FittingSteps<Steps>;

type FittingSteps<Steps extends readonly AnyCanvas[]> = {
  readonly [I in keyof Steps]: I extends '0' ? AnyCanvas : Follower<ResultOf<StepBefore<Steps, I>>>;
};

// The steps moved along by one: at its own index each finds the one before. An array of unknown length has
// no '0', so there every step follows one of its own kind.
type StepBefore<Steps extends readonly AnyCanvas[], I extends keyof Steps> = number extends Steps['length']
  ? Steps[number]
  : [AnyCanvas, ...Steps][I & keyof [AnyCanvas, ...Steps]] & AnyCanvas;

type FirstOf<Steps extends readonly AnyCanvas[]> = Steps[0];

type LastOf<Steps extends readonly AnyCanvas[]> = Steps extends readonly [
  ...unknown[],
  infer Last extends AnyCanvas,
]
  ? Last
  : Steps[number];

/**
 * A chain of these steps.
 *
 * @throws InvalidCanvasError when there is none
 */
export function createChain<Steps extends readonly AnyCanvas[]>(
  publisher: CanvasPublisher,
  steps: ChainSteps<Steps>,
): ChainOf<Steps> {
  return new Chain(publisher, makeChain(steps as readonly AnyCanvas[]));
}
