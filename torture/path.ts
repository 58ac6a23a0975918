/** Which commands belong to the path of a canvas, and what they are called in a report. */
import type { Command } from '../test/support/resp.js';

/** Commands that are sent whether there is work or not. */
const ROUTINE = new Set(['BZPOPMIN', 'XREAD', 'PING', 'INFO', 'CLIENT', 'HELLO', 'SCRIPT']);

/** Counts the commands that name one of the canvases, and those that fetch a job for a worker. */
export function pathOf(mark: string): (command: Command) => boolean {
  return (command) => {
    if (ROUTINE.has(command.name)) return false;
    const [, , first] = command.args;
    const key = isScript(command) ? (first?.toString('latin1') ?? '') : '';
    // Lock renewals and looks for lost jobs come by the clock.
    if (key.endsWith(':stalled') || key.endsWith(':lock')) return false;
    return command.bytes.includes(mark) || isFetch(command, key);
  };
}

/** What a command does, as far as it can be told from outside. */
export function nameOf(command: Command): string {
  if (!isScript(command)) return command.name;
  const keys = Number(command.args[1]?.toString('latin1'));
  const name = command.args[2]?.toString('latin1') ?? '';
  return isFetch(command, name) ? 'fetch' : `script of ${keys} keys on ${placeOf(name)}`;
}

const isScript = ({ name }: Command): boolean => name === 'EVALSHA' || name === 'EVAL';

/** BullMQ's moveToActive: the only script with these eleven keys. */
const isFetch = (command: Command, firstKey: string): boolean =>
  firstKey.endsWith(':wait') && command.args[1]?.toString('latin1') === '11';

/** A key without the names of prefix, queue and job. */
const placeOf = (key: string): string => key.slice(key.lastIndexOf(':') + 1);
