/**
 * What a child of a process pool runs. Its worker starts it with `fork`; nobody else imports this file.
 */
import 'reflect-metadata';
import { Worker } from 'node:worker_threads';
import { becomeChildProcess } from '../options/child-process.js';
import { serializeError } from '../failure/serialize-error.js';
import { ChildRuntime } from '../pool/child-runtime.js';
import type { FromChild, ToChild } from '../pool/protocol.js';
import { bootstrapChild } from './child-application.js';
import { ChildLogger } from './child-logger.js';

const WATCH_MS = 500;

becomeChildProcess();

const send = (message: FromChild, sent: () => void = () => undefined): void => {
  if (process.connected) process.send?.(message, undefined, {}, sent);
  else sent();
};
const logger = new ChildLogger(send);
const runtime = new ChildRuntime(
  {
    send,
    rssBytes: () => process.memoryUsage.rss(),
    // What was said before is on its way by then.
    exit: (code) => send({ say: 'ends' }, () => process.exit(code)),
  },
  (start) => bootstrapChild(start, logger),
);

process.on('message', (message) => runtime.hear(message as ToChild));
process.on('disconnect', () => process.exit());
process.on('uncaughtExceptionMonitor', (error) => send({ say: 'dying', error: serializeError(error) }));
// A Ctrl-C goes to all processes of the terminal: when a child ends is for its worker to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
watchWorker();

/**
 * A handler that never yields would not hear that its worker has been killed. A thread beside it does: it ends the
 * process when that has got another parent.
 */
function watchWorker(): void {
  const watch = `
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
    }, ${WATCH_MS});
  `;
  const thread = new Worker(watch, {
    eval: true,
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
  });
  thread.on('error', () => undefined);
  thread.unref();
}
