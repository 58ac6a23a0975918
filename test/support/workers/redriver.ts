/**
 * Redrives a canvas in a process of its own, which kills itself before or after one of the commands that it sends. It says
 * `ready` when it is connected, waits for the key `go:<prefix>` or another one, and writes what became of the redrive to its stdout.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { TaskQueueModule, WorkflowService } from 'nestjs-task-queue';

interface RedriverOptions {
  readonly url: string;
  readonly prefix: string;
  readonly id: string;
  /** The generation after which the next one is to begin: the first where it is not said. */
  readonly after?: number;
  /** The key that it waits for. */
  readonly go?: string;
  /** The command, counted from the first WATCH, and whether it is still sent. */
  readonly dieAt?: { readonly command: number; readonly isSent: boolean };
}

const {
  url,
  prefix,
  id,
  after = 0,
  go = `go:${prefix}`,
  dieAt,
} = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as RedriverOptions;

@Module({ imports: [TaskQueueModule.forRoot({ connection: { url }, prefix, role: 'producer' })] })
class RedriverModule {}

const app = await NestFactory.createApplicationContext(RedriverModule, { logger: ['error', 'fatal'] });
const workflows = app.get(WorkflowService);
await workflows.result(id).state();

const commands: string[] = [];
type Send = (this: Redis, ...args: Parameters<Redis['sendCommand']>) => unknown;
const send = Reflect.get(Redis.prototype, 'sendCommand') as Send;
const watching: Send = function (...args) {
  const [{ name }] = args;
  if (commands.length > 0 || name === 'watch') commands.push(name);
  const dies = commands.length > 0 && commands.length === dieAt?.command;
  if (dies && !dieAt.isSent) process.kill(process.pid, 'SIGKILL');
  const answer = send.apply(this, args);
  // What was written is on its way by then; its answer is not read any more.
  if (dies) setImmediate(() => process.kill(process.pid, 'SIGKILL'));
  return answer;
};
Reflect.set(Redis.prototype, 'sendCommand', watching);

const looker = new Redis(url);
process.send?.('ready');
while ((await looker.exists(go)) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
commands.length = 0;
const { generation, begun } = await workflows.redrive(id, { after });
Reflect.set(Redis.prototype, 'sendCommand', send);
looker.disconnect();
process.stdout.write(`${JSON.stringify({ generation, begun, commands })}\n`);
await app.close();
process.disconnect();
