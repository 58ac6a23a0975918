import type { DispatchRecord, Stage } from '../../backend/ledger.js';
import type { JobFields, TaskReply } from '../../backend/task-reply.js';
import type { ParkedRecord } from '../../chords/closing-record.js';
import type { ChordDecisionRecord } from '../../chords/decision-record.js';
import type { SerializedError, TaskFailure } from '../../failure/task-failure.js';
import type { JsonValue } from '../../primitives/json.js';

/** Reads the flat list that the script READ_TASK answered. */
export function parseReply(flat: readonly (string | number | null)[]): TaskReply {
  const [, failureJson, decisionJson] = flat;
  const source = flat[0] as TaskReply['source'];
  const record = typeof failureJson === 'string' ? { record: JSON.parse(failureJson) as TaskFailure } : {};
  const decision =
    typeof decisionJson === 'string' ? { decision: JSON.parse(decisionJson) as ChordDecisionRecord } : {};
  const text = (at: number): string | undefined => {
    const value = flat[at];
    return value === null || value === undefined ? undefined : String(value);
  };
  switch (source) {
    case 'job':
      return {
        source,
        queue: text(3) ?? '',
        place: text(4) ?? '',
        ...record,
        ...decision,
        job: jobFields(text),
      };
    case 'value':
      return { source, queue: text(3) ?? '', json: text(4) ?? 'null', ...decision };
    case 'failed':
      return { source, queue: text(3) ?? '', reason: text(4) ?? '', ...record };
    case 'absent':
      return { source, ...record };
    case 'unknown':
      return { source: 'unknown', ...record };
  }
}

function jobFields(text: (at: number) => string | undefined): JobFields {
  const number = (at: number): number | undefined => (text(at) === undefined ? undefined : Number(text(at)));
  const data = text(14);
  return defined({
    name: text(5) ?? '',
    timestamp: number(6),
    processedOn: number(7),
    finishedOn: number(8),
    returnvalue: text(9),
    failedReason: text(10),
    attemptsMade: number(11) ?? 0,
    progress: parseProgress(text(13)),
    node:
      data === undefined
        ? undefined
        : {
            data,
            values: number(15) ?? 0,
            failures: (number(16) ?? 0) - (number(22) ?? 0),
            pending: number(17) ?? 0,
            isHeld: text(26) === '1',
            ...(text(27) === undefined || text(27) === '0' ? {} : { setAside: Number(text(27)) }),
            stragglers: number(28) ?? 0,
            ...stageIn(text(18)),
            ...(text(19) === undefined ? {} : { size: Number(text(19)) }),
            ...dispatchIn(text(20), text(21), text(22) === '1'),
            ...(text(23) === '1' ? { child: 'value' as const } : {}),
            ...(text(24) === '1' ? { child: 'failure' as const } : {}),
            ...parkedIn(text(25)),
          },
  }) as JobFields;
}

function stageIn(json: string | undefined): { stage: number; isAdding: boolean } {
  if (json === undefined) return { stage: 0, isAdding: false };
  const { stage, state } = JSON.parse(json) as Stage;
  return { stage, isAdding: state === 'adding' };
}

function parkedIn(json: string | undefined): { parked?: ParkedRecord } {
  return json === undefined ? {} : { parked: JSON.parse(json) as ParkedRecord };
}

function dispatchIn(
  dispatched: string | undefined,
  end: string | undefined,
  isCut: boolean,
): { dispatch?: DispatchRecord } {
  const dispatch = parseDispatch(dispatched, end, isCut);
  return dispatch === undefined ? {} : { dispatch };
}

/** How the dispatch of a node's members stands, as its fields say. */
export function parseDispatch(
  dispatched: string | null | undefined,
  end: string | null | undefined,
  isCut: boolean,
  isClosed = false,
): DispatchRecord | undefined {
  if (dispatched === null || dispatched === undefined) return undefined;
  const about = { dispatched: Number(dispatched) };
  if (end === 'sealed') return { ...about, state: 'sealed' };
  if (typeof end === 'string')
    return { ...about, state: 'failed', error: JSON.parse(end) as SerializedError };
  return { ...about, state: isCut ? 'cut' : 'open', ...(isClosed ? { isClosed } : {}) };
}

function parseProgress(json: string | undefined): JsonValue | undefined {
  return json === undefined ? undefined : (JSON.parse(json) as JsonValue);
}

function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
