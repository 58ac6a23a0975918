// @ts-check
/**
 * Gives an integration run one Redis, that of REDIS_URL or an own server: workers find it in TEST_REDIS_URL.
 */
import { startRedis } from '../../tools/redis/provision.mjs';

export default async function startRedisOfTheRun() {
  const redis = await startRedis();
  process.env.TEST_REDIS_URL = redis.url;
  Object.assign(globalThis, { redisOfTheRun: redis });
}
