import type { TaskFailure } from '../failure/task-failure.js';
import type { Recovered, TaskSnapshot } from '../results/task-snapshot.js';
import { isTerminal, type TaskState } from '../task/task-state.js';
import type { Obstacle } from './obstacle.js';

/** What an explanation is made of. */
export interface ExplanationParts {
  readonly snapshot: TaskSnapshot;
  readonly obstacles: readonly Obstacle[];
  readonly rest: number;
  readonly cursor: string | undefined;
}

/** Why a task or canvas has not ended, or how it has. As a text it says the same. */
export class Explanation {
  readonly id: string;
  readonly state: TaskState;
  /** The task's name, or the kind of the composite. */
  readonly name?: string;
  /** Why it failed, if it has. */
  readonly failure?: TaskFailure;
  /** What keeps it and what is below it from ending, from the top down. Of one that has ended only damage stands here. */
  readonly obstacles: readonly Obstacle[];
  /** Pending members, at any depth, that were not looked at. */
  readonly rest: number;
  /** Where the next page of its own members begins, for `explain(id, { cursor })`; absent on the last one. */
  readonly cursor?: string;
  /** All of it in words, a line for each obstacle. */
  readonly text: string;

  /** @internal */
  constructor({ snapshot, obstacles, rest, cursor }: ExplanationParts) {
    this.id = snapshot.id;
    this.state = snapshot.state;
    if (snapshot.name !== undefined) this.name = snapshot.name;
    if (snapshot.failure !== undefined) this.failure = snapshot.failure;
    this.obstacles = obstacles;
    this.rest = rest;
    if (cursor !== undefined) this.cursor = cursor;
    this.text = textOf(snapshot, this);
  }

  toString(): string {
    return this.text;
  }
}

function textOf(snapshot: TaskSnapshot, { obstacles, rest }: Explanation): string {
  const what = `${snapshot.name ?? 'Task'} ${snapshot.id}`;
  if (obstacles.length === 0)
    return isTerminal(snapshot.state) ? endOf(what, snapshot) : `${what} is on its way.`;
  const lines = obstacles.map(({ text, remedy }) => `- ${text}${remedy === '' ? '' : ` ${remedy}`}`);
  if (rest > 0) lines.push(`- ${rest} more pending members were not looked at.`);
  const first = isTerminal(snapshot.state) ? endOf(what, snapshot) : `${what} is ${snapshot.state}:`;
  return [first, ...lines].join('\n');
}

function recoveredHow({ strategy, failed, pending = 0, size }: Recovered): string {
  const members = [
    ...(failed > 0 ? [`${failed} of ${size} members failed`] : []),
    ...(pending > 0 ? [`${pending} of ${size} had not ended`] : []),
  ];
  return `, recovered by ${strategy}${members.length === 0 ? '' : ` although ${members.join(' and ')}`}`;
}

function endOf(what: string, { state, failure, recovered, finishedAt }: TaskSnapshot): string {
  const at = finishedAt === undefined ? '' : ` at ${new Date(finishedAt).toISOString()}`;
  const how = recovered === undefined ? '' : recoveredHow(recovered);
  const why = failure === undefined ? '' : `: ${failure.error.name}: ${failure.error.message}`;
  return `${what} has ended as ${state}${at}${how}${why}.`.replace(/\.\.$/, '.');
}
