import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { CanvasSource } from './call-options.js';
import type { ChordData, GroupData, LateData } from './canvas-data.js';
import { canvasDataOf, canvasListOf, isBare } from './canvas-node.js';
import type { DeadlineData } from './deadline-rule.js';
import { type Budget, FAIL_FAST, readBudget } from './header-rules.js';
import { checkLate } from './late-rule.js';

/**
 * Members side by side, then a body that gets the list of their values.
 *
 * A group given as the whole header lends its members. Anything else that is no list is one member: a chain
 * runs in sequence, unlike in Celery (B052).
 *
 * @param rules name of the strategy for failed members, the module's default when absent; what ends the wait for members
 * @throws InvalidCanvasError when the body is missing, or when the header is a group with options or
 *   callbacks of its own, which a chord has no place for, or a rule cannot be read
 */
export function makeChord(
  header: CanvasSource | Iterable<CanvasSource>,
  body: CanvasSource,
  { recovery, budget, deadline, late, size }: HeaderRules = {},
): ChordData {
  if (body === undefined || body === null) throw new InvalidCanvasError('body', NO_BODY);
  if (recovery === '') throw new InvalidCanvasError('recovery', NAMELESS);
  const { members, failFast } = headerOf(header);
  const limits = budget ?? (failFast === true ? FAIL_FAST : undefined);
  checkLate({ late, budget: limits, deadline }, 'late');
  return Object.freeze({
    kind: 'chord',
    header: members,
    body: canvasDataOf(body, 'body'),
    ...(recovery === undefined ? {} : { recovery }),
    ...(limits === undefined
      ? {}
      : { budget: Object.freeze({ ...readBudget(limits, 'recovery', size ?? members.length) }) }),
    ...(deadline === undefined ? {} : { deadline: Object.freeze(deadline) }),
    ...(late === undefined ? {} : { late }),
  });
}

/** How a chord deals with its header. */
export interface HeaderRules {
  readonly recovery?: string;
  readonly budget?: Budget | undefined;
  readonly deadline?: DeadlineData;
  readonly late?: LateData | undefined;
  /** How many members there will be, where the header does not say: `Infinity` where nobody knows. */
  readonly size?: number;
}

/** What is wrong with a chord without a body. */
export const NO_BODY = 'a chord needs a body; without one it is a group';

const NAMELESS = 'a strategy is found by the name of its class, so the class needs one';

function headerOf(header: CanvasSource | Iterable<CanvasSource>): Pick<GroupData, 'members' | 'failFast'> {
  if (isIterable(header)) return { members: canvasListOf(header, 'header') };
  const data = canvasDataOf(header, 'header');
  if (data.kind !== 'group') return { members: Object.freeze([data]) };
  if (isBare(data)) return data;
  throw new InvalidCanvasError('header', GROUP_WITH_EXTRAS);
}

const GROUP_WITH_EXTRAS =
  'a group with options or callbacks of its own cannot be a header; ' +
  'put those on its members or on the chord, or write chain(group, body)';

function isIterable(value: CanvasSource | Iterable<CanvasSource>): value is Iterable<CanvasSource> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}
