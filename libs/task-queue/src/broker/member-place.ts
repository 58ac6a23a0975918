import type { Addition } from '../backend/publisher.js';
import type { Holder } from '../backend/ledger.js';
import { lineOf } from '../flow/ids.js';
import type { RedisClient } from './redis-client.js';
import type { RedisKeys } from './redis-keys.js';
import { FIND_PLACE } from './scripts/members.js';
import { runScript } from './scripts/script.js';

/** Where a member goes that a running task adds. */
export interface MemberPlace {
  readonly node: string;
  readonly index: number;
  /** It was added by an earlier attempt. */
  readonly isTaken: boolean;
  /** The node hears of each failure, not only of the last end. */
  readonly hearsOfFailures: boolean;
  /** Its deadline counts from the ends of members. */
  readonly isTimed: boolean;
}

/** What is asked for a place. */
export interface PlaceQuestion {
  readonly holder: Holder;
  readonly call: string;
  /** The nodes that the task may be a member of, from the inside out. */
  readonly nodes: readonly string[];
}

/** The place of a member that a running task adds, or why it gets none. */
export async function findPlace(
  client: RedisClient,
  keys: RedisKeys,
  { holder, call, nodes }: PlaceQuestion,
): Promise<MemberPlace | Exclude<Addition['is'], 'added' | 'exists'>> {
  const reply = await runScript(
    client,
    FIND_PLACE,
    [keys.job(holder.queue, holder.id), ...nodes.flatMap((id) => [keys.node(id), keys.record(id)])],
    [holder.token, callNote(holder.id, call), ...nodes.map((id) => lineOf(id).join(' '))],
  );
  const [is, at = 0, index = 0, hears, times] = reply as [Addition['is'] | 'free', ...(number | undefined)[]];
  if (is !== 'free' && is !== 'exists') return is as Exclude<Addition['is'], 'added' | 'exists'>;
  return {
    node: nodes[at - 1] ?? '',
    index,
    isTaken: is === 'exists',
    hearsOfFailures: hears === 1,
    isTimed: times === 1,
  };
}

/** The field of a canvas's record under which the place of a call is noted. */
export function callNote(task: string, call: string): string {
  return `a:${task}:${call}`;
}
