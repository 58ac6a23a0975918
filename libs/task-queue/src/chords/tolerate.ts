import type { Budget } from '../canvas/header-rules.js';
import { CallbackWithSuccesses } from './built-in-recoveries.js';
import type { ChordRecoveryType } from './chord-recovery.js';

/** A budget, and the strategy that is asked within it. */
export class Tolerance<Recovery extends ChordRecoveryType = ChordRecoveryType> {
  /** @internal */
  constructor(
    readonly budget: Budget,
    readonly recovery: Recovery,
  ) {}
}

/** A budget, and what runs within it. */
export interface ToleranceOptions<Recovery extends ChordRecoveryType = ChordRecoveryType> extends Budget {
  /**
   * Decides what runs when members failed and the budget holds, or when it is breached under `onBreach: 'callback'`.
   * @defaultValue CallbackWithSuccesses
   */
  readonly recovery?: Recovery;
}

/**
 * The recovery of a chord of which so much may go wrong, and no more: looked at whenever a member ends, in any
 * combination of limits. Within the budget the body runs with the values of the members that succeeded.
 *
 * ```ts
 * workflows.chord(header, body, { recovery: Tolerate({ percentage: 10, byError: { PaymentRefused: 0 } }) });
 * ```
 *
 * What cannot be read is refused with an InvalidCanvasError when the chord is made.
 */
export function Tolerate<Recovery extends ChordRecoveryType = typeof CallbackWithSuccesses>(
  options: ToleranceOptions<Recovery>,
): Tolerance<Recovery> {
  // Nothing at all is a budget without a limit, which is refused as such.
  const given = (options as ToleranceOptions<Recovery> | undefined) ?? {};
  const { recovery = CallbackWithSuccesses as ChordRecoveryType as Recovery, ...budget } = given;
  return new Tolerance(Object.freeze(budget), recovery);
}
