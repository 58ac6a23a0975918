import { isTaskEventType, type TaskEvent } from '../task/task-event.js';

/** Events on their way between processes. */
export interface EventBatch {
  readonly events: readonly TaskEvent[];
  /** How many were left out before these. */
  readonly lost: number;
}

/** What one message may hold, in characters. A larger event is left out. */
const MESSAGE_CHARACTERS = 256 * 1024;

/** The messages that carry events, in their order. @param lostBefore how many were left out before */
export function* writeBatches(
  events: readonly TaskEvent[],
  lostBefore: number,
): Generator<{ readonly text: string; readonly size: number }> {
  let lost = lostBefore;
  let parts: string[] = [];
  let length = 0;
  const message = () => ({
    text: `{"v":1,"lost":${lost},"events":[${parts.join()}]}`,
    size: parts.length + lost,
  });
  for (const event of events) {
    const json = JSON.stringify(event);
    if (json.length > MESSAGE_CHARACTERS) {
      lost += 1;
      continue;
    }
    if (length + json.length > MESSAGE_CHARACTERS) {
      yield message();
      [lost, parts, length] = [0, [], 0];
    }
    parts.push(json);
    length += json.length;
  }
  yield message();
}

/** Reads a message; anybody can send one, so what is none of ours is passed over. */
export function readBatch(text: string): EventBatch {
  try {
    const { v, lost, events } = (JSON.parse(text) ?? {}) as Readonly<Record<string, unknown>>;
    if (v !== 1 || !Array.isArray(events)) return NOTHING;
    return {
      events: events.filter(isEvent),
      lost: Number.isSafeInteger(lost) && (lost as number) > 0 ? (lost as number) : 0,
    };
  } catch {
    return NOTHING;
  }
}

const NOTHING: EventBatch = { events: [], lost: 0 };

function isEvent(value: unknown): value is TaskEvent {
  if (typeof value !== 'object' || value === null) return false;
  const event = value as Readonly<Record<string, unknown>>;
  return (
    isTaskEventType(event['type']) &&
    ['id', 'name', 'queue', 'workflowId', 'position', 'at'].every((key) => typeof event[key] === 'string')
  );
}
