import type { TaskFailure } from '../failure/task-failure.js';
import type { EndedGeneration } from '../flow/envelope.js';
import type { JsonValue } from '../primitives/json.js';
import type { TaskState } from '../task/task-state.js';
import type { DispatchProgress, MemberCounts, Parked, Recovered, TaskSnapshot } from './task-snapshot.js';

/** One moment of a task that is being watched. */
export interface TaskMoment {
  readonly state: TaskState;
  readonly progress?: JsonValue;
  readonly counts?: MemberCounts;
  /** Of a wide group or chord: how far its members have been published. */
  readonly dispatch?: DispatchProgress;
  /** That a chord's callback runs, or ran, although members failed. */
  readonly recovered?: Recovered;
  /** Of a chord whose budget is breached: that it waits for somebody to decide. */
  readonly parked?: Parked;
  /** Of a composite that was redriven: how often. */
  readonly generation?: number;
}

/** A task or canvas as one plain object, for an API to answer with. */
export interface TaskDescription extends TaskMoment {
  readonly id: string;
  readonly name?: string;
  readonly value?: JsonValue;
  readonly error?: TaskFailure;
  readonly retries?: number;
  /** Of a canvas that was redriven: what its generations came to, the oldest first; the last 20 of them. */
  readonly history?: readonly EndedGeneration[];
  /** ISO 8601. */
  readonly publishedAt?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
}

/** What of a task may change while it is watched. */
export function momentOf({
  state,
  progress,
  counts,
  dispatch,
  recovered,
  parked,
  redriven,
}: Pick<
  TaskSnapshot,
  'state' | 'progress' | 'counts' | 'dispatch' | 'recovered' | 'parked' | 'redriven'
>): TaskMoment {
  return {
    state,
    ...(progress === undefined ? {} : { progress }),
    ...(counts === undefined ? {} : { counts }),
    ...(dispatch === undefined ? {} : { dispatch }),
    ...(recovered === undefined ? {} : { recovered }),
    ...(parked === undefined ? {} : { parked }),
    ...(redriven === undefined ? {} : { generation: redriven.generation }),
  };
}

/** A time for people and for APIs, where there is one. */
export function isoTime<K extends string>(key: K, ms: number | undefined): { [P in K]?: string } {
  return (ms === undefined ? {} : { [key]: new Date(ms).toISOString() }) as { [P in K]?: string };
}
