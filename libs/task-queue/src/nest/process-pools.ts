import { Logger } from '@nestjs/common';
import type { HostFactory } from '../backend/handler-host.js';
import { ProcessPool } from '../pool/process-pool.js';
import type { LogLine } from '../pool/protocol.js';
import { systemClock } from '../primitives/clock.js';

/** What children run. It stands beside this file in the package. */
const ENTRY = new URL('./child-main.js', import.meta.url).href;

/** Makes the process pools of an application. */
export function processPools(entry: string = ENTRY): HostFactory {
  const log = new Logger('TaskQueue');
  return (duty) => new ProcessPool(duty, { entry, clock: systemClock, log, onLine: writeLine });
}

/** A line of a child, as if it had been logged here. */
function writeLine({ level, text, context, stack }: LogLine): void {
  const more = [stack, context].filter((part) => part !== undefined);
  Logger[level](text, ...more);
}
