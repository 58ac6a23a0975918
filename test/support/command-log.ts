/**
 * What Redis is told by its clients, over MONITOR. A socket of its own: a client of ioredis that has asked for MONITOR
 * breaks when the first line of another client comes in one packet with the answer to its question.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { Redis } from 'ioredis';
import { redisUrl, until } from './app-fixture.js';

/** A command, as Redis has received it. */
export interface LoggedCommand {
  /** Its name and its arguments; characters outside of ASCII stay escaped. */
  readonly args: readonly string[];
  /** Address of the client, or `lua`, for what a script did. */
  readonly source: string;
}

const LINE = /^\+\d+\.\d+ \[\d+ ([^\]]+)\] (.*)$/;
const ARGUMENT = /"((?:[^"\\]|\\.)*)"/g;

/** Every command that Redis received while something was done, of every client. */
export async function commandsDuring(redis: Redis, work: () => Promise<unknown>): Promise<LoggedCommand[]> {
  const url = new URL(redisUrl());
  const socket = connect(Number(url.port || 6379), url.hostname);
  const commands: LoggedCommand[] = [];
  const lines = createInterface({ input: socket });
  const mark = `end of ${String(Math.random())}`;
  let isOver = false;
  try {
    await once(socket, 'connect');
    if (url.password !== '') socket.write(`AUTH ${url.username || 'default'} ${url.password}\r\n`);
    socket.write('MONITOR\r\n');
    await once(lines, 'line');
    lines.on('line', (line) => {
      const [, source, rest] = LINE.exec(line) ?? [];
      if (source === undefined || rest === undefined) return;
      const args = Array.from(rest.matchAll(ARGUMENT), ([, arg]) => arg?.replaceAll('\\"', '"') ?? '');
      if (args.includes(mark)) isOver = true;
      else commands.push({ args, source });
    });
    await work();
    await redis.echo(mark);
    await until(() => isOver, 'every command was seen');
  } finally {
    lines.close();
    socket.destroy();
  }
  return commands;
}
