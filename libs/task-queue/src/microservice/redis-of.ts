import { RedisBackend } from '../broker/redis-backend.js';
import type { RedisConnections } from '../broker/redis-connections.js';
import type { TaskQueueEngine } from '../engine/task-queue-engine.js';

/** What server and client show of the Redis below an engine; undefined where it keeps its tasks elsewhere. */
export function redisOf({ backend }: TaskQueueEngine): RedisBackend | undefined {
  return backend instanceof RedisBackend ? backend : undefined;
}

/** A connection as ioredis made it. */
export type RedisConnection = ReturnType<RedisConnections['get']>;
