/** Redis of the run; `npm run bench` starts a private one. */
export const REDIS_URL = process.env.REDIS_URL ?? '';
