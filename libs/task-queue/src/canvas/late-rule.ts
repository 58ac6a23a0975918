import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { CanvasSource } from './call-options.js';
import type { LateData } from './canvas-data.js';
import { canvasDataOf } from './canvas-node.js';

/** Reads what a user wrote. @throws InvalidCanvasError when it cannot be read */
export function readLate(given: unknown): LateData | undefined {
  if (given === undefined || given === 'drop') return undefined;
  if (given === 'amend') return given;
  if (typeof given === 'object' && given !== null && 'callback' in given) {
    const odd = Object.keys(given).find((field) => field !== 'callback');
    if (odd !== undefined) throw new InvalidCanvasError(`late.${odd}`, 'unknown; known is callback');
    return canvasDataOf(given.callback as CanvasSource, 'late.callback');
  }
  throw new InvalidCanvasError('late', `expected ${FORMS}, got ${JSON.stringify(given)}`);
}

const FORMS = "'drop', 'amend' or { callback: signature }";

/** Checks a chord of any origin. @throws InvalidCanvasError */
export function checkLate({ late, budget, deadline }: Readonly<Record<string, unknown>>, at: string): void {
  if (late === undefined) return;
  if (late !== 'amend' && (typeof late !== 'object' || late === null)) {
    throw new InvalidCanvasError(at, `expected 'amend' or a canvas, got ${JSON.stringify(late)}`);
  }
  if ((budget ?? deadline) === undefined) throw new InvalidCanvasError(at, NEVER_LATE);
}

const NEVER_LATE =
  'nothing ends this header before its members have, so none of them is late; ' +
  'give the chord a deadline, or Tolerate({ … }) as its recovery';

/** Why a part of a canvas is not amended. */
export const AMENDED_PART =
  "late: 'amend' is for a chord that is the canvas as a whole: what is around a part has gone on with the value before; " +
  'give it { callback }, or publish the chord by itself';
