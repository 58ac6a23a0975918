import type { ParkedRecord } from '../chords/closing-record.js';
import type { ChordDecisionRecord } from '../chords/decision-record.js';
import type { TaskFailure } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';
import type { DispatchRecord } from './ledger.js';

/** What a store says about a task or node. */
export type TaskReply =
  | { readonly source: 'unknown' | 'absent'; readonly record?: TaskFailure }
  | {
      readonly source: 'value';
      readonly queue: string;
      readonly json: string;
      readonly decision?: ChordDecisionRecord;
    }
  | {
      readonly source: 'failed';
      readonly queue: string;
      readonly reason: string;
      readonly record?: TaskFailure;
    }
  | {
      readonly source: 'job';
      readonly queue: string;
      readonly place: string;
      readonly record?: TaskFailure;
      readonly decision?: ChordDecisionRecord;
      readonly job: JobFields;
    };

/** The fields of a job. JSON texts are as they are stored. */
export interface JobFields {
  readonly name: string;
  readonly timestamp?: number;
  readonly processedOn?: number;
  readonly finishedOn?: number;
  readonly returnvalue?: string;
  readonly failedReason?: string;
  readonly attemptsMade: number;
  readonly progress?: JsonValue;
  readonly node?: {
    readonly data: string;
    /** How many members it has, where its data does not say so (any more). */
    readonly size?: number;
    readonly dispatch?: DispatchRecord;
    readonly values: number;
    readonly failures: number;
    readonly pending: number;
    /** Whether a hold is among the children that are pending. */
    readonly isHeld: boolean;
    /** Members that failed and are still to be put back by a redrive, where there are such. */
    readonly setAside?: number;
    /** Members that had not ended when its header was closed. */
    readonly stragglers: number;
    readonly stage: number;
    /** Whether the child of this stage is there for certain. */
    readonly isAdding: boolean;
    /** What the one child of this stage came to, once it has ended. */
    readonly child?: 'value' | 'failure';
    /** That its header waits for somebody to decide. */
    readonly parked?: ParkedRecord;
  };
}
