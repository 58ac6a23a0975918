import type { Json, Recovery } from './canvas-model.js';
import type { Outcome } from './outcome.js';

/** What follows a header with failed members. */
export type Decision =
  | { readonly run: 'errback' | 'successes' | 'outcomes' }
  /** The body runs with this argument, or without any. */
  | { readonly run: 'callback'; readonly arg: Json | undefined }
  | { readonly run: 'fail'; readonly error: string; readonly message: string };

export function decide(recovery: Recovery, header: readonly Outcome[]): Decision {
  switch (recovery) {
    case 'errback-only':
      return { run: 'errback' };
    case 'callback-with-successes':
      return { run: 'successes' };
    case 'callback-with-outcomes':
      return { run: 'outcomes' };
    case 'tally': {
      const failed = header.flatMap((outcome, index) => (outcome.ok ? [] : [index]));
      const tally = tallyOf(failed, header.length);
      // What a strategy throws is told by an error of the library's own.
      if (tally.run === 'throw') return { run: 'fail', error: 'RecoveryFailedError', message: '' };
      return tally;
    }
    default:
      return recovery satisfies never;
  }
}

/**
 * The strategy of the reference's own, which answers in every way that there is: by how many members failed, and whether
 * any did not.
 */
export function tallyOf(
  failed: readonly number[],
  size: number,
):
  | { readonly run: 'errback' }
  | { readonly run: 'throw' }
  | { readonly run: 'callback'; readonly arg: Json | undefined }
  | { readonly run: 'fail'; readonly error: string; readonly message: string } {
  if (failed.length === size) return { run: size === 1 ? 'errback' : 'throw' };
  switch (failed.length % 3) {
    case 0:
      return { run: 'fail', error: 'RangeError', message: `a tally of ${failed.length}` };
    case 1:
      return { run: 'callback', arg: { failed: [...failed] } };
    default:
      return { run: 'callback', arg: undefined };
  }
}
