// @ts-check
/**
 * A Redis of a test's own, which may be killed and started again with its data: a program that takes commands,
 * one a line, and answers each with a line of JSON. It ends with its parent, and the server with it.
 */
import { createInterface } from 'node:readline';
import { startRedis } from '../../../tools/redis/provision.mjs';

const [dir = '', ...args] = process.argv.slice(2);
/** @type {import('../../../tools/redis/provision.mjs').Redis | undefined} */
let redis;
let port = 0;

/** @type {Readonly<Record<string, () => Promise<void>>>} */
const commands = {
  async start() {
    redis = await startRedis({
      private: true,
      appendOnly: true,
      quiet: true,
      dir,
      args,
      ...(port ? { port } : {}),
    });
    ({ port } = redis);
  },
  async kill() {
    redis?.kill('SIGKILL');
    await redis?.stop();
  },
  async stop() {
    await redis?.stop();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  try {
    await commands[line]?.();
    console.log(JSON.stringify({ url: redis?.url, pid: redis?.pid }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await redis?.stop();
