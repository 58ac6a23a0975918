/**
 * A scenario is a canvas, and what has to become of it whatever happens on the way. To add one: write it in a file of this
 * folder and name it in `all.ts`. Systematic runs meet it with every fault at every command of its path; random runs mix it
 * with the others.
 */
import type { CanvasData, JsonValue, WorkflowService } from 'nestjs-task-queue';
import type { Role } from '../actors.js';
import type { Evidence } from '../evidence.js';
import type { MemberEnd } from '../tasks.js';

export interface Scenario {
  readonly name: string;
  /** Whose commands are the path. */
  readonly paths: readonly Role[];
  /** Whether it is published under a lease, by somebody who reads its header from a source. */
  readonly isLeased?: boolean;
  /** @param size how many members a header has */
  plan(size: number): Plan;
}

export interface Plan {
  readonly canvas: CanvasData;
  /** Whether the header is read from a source. */
  readonly isStreamed?: boolean;
  /** Whether it is redriven once it has ended. */
  readonly isRedriven?: boolean;
  /** Whether it may be amended, which makes its node anew. */
  readonly isAmended?: boolean;
  /**
   * How often each task has to be made, by what follows the canvas's id. Anything else that is made is wrong; so is a task
   * that was made and never ran. Absent where that cannot be foretold: then nothing may be made twice. A function where it
   * follows from what was in time.
   */
  readonly made?: Made | ((evidence: Evidence) => Made);
  /** What else is wrong, in words. */
  judge(evidence: Evidence, workflows: WorkflowService): string[] | Promise<string[]>;
}

/** How often each task is made. */
type Made = Readonly<Record<string, number>>;

type TaskData = Extract<CanvasData, { kind: 'task' }>;

export const call = (task: string, ...args: JsonValue[]): TaskData => ({ kind: 'task', task, args });

export const members = (...ends: MemberEnd[]): TaskData[] => ends.map((end) => call('member', end));

/** A list of so many. */
export const times = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);

/** Each of these once. */
export const once = (...ids: string[]): Record<string, number> =>
  Object.fromEntries(ids.map((id) => [id, 1]));

/** `.0`, `.1`, … */
export const indexes = (size: number, before = ''): string[] =>
  Array.from({ length: size }, (_, index) => `${before}.${index}`);

export const stateIs = (wanted: string, state: string): string[] =>
  state === wanted ? [] : [`it is ${state}, not ${wanted}`];

/** Wrong unless everything that the runs of a task were given is as it should be. */
export const unlessAll = (
  got: readonly JsonValue[],
  isRight: (one: JsonValue) => boolean,
  what: string,
): string[] => (got.every(isRight) ? [] : [`instead of ${what} somebody was given ${JSON.stringify(got)}`]);
