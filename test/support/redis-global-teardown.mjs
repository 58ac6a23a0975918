// @ts-check
/**
 * Stops the Redis that the global setup started; that of REDIS_URL stays.
 */
export default async function stopRedisOfTheRun() {
  const run = /** @type {{ redisOfTheRun?: import('../../tools/redis/provision.mjs').Redis }} */ (globalThis);
  await run.redisOfTheRun?.stop();
}
