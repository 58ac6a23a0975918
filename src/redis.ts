import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from './config.js';

/** A Redis in use. An own one also ends by itself, with this process. */
export interface ProvidedRedis {
  readonly url: string;
  readonly source: string;
  stop(): Promise<void>;
}

/** Uses the Redis of REDIS_URL, or starts a private one for as long as this process lives. */
export async function provideRedis(): Promise<ProvidedRedis> {
  // A tool of the repository and no part of the build, so it is found from the project's root.
  const tool = pathToFileURL(join(projectRoot(), 'tools/redis/provision.mjs')).href;
  const { startRedis } = (await import(tool)) as { startRedis: () => Promise<ProvidedRedis> };
  return startRedis();
}
