import type { MemoryJob } from '../../../libs/task-queue/src/memory/memory-job.js';

interface Command {
  readonly name: string;
  readonly happen: () => void;
  readonly fail: (error: Error) => void;
}

/** Something that goes on by itself, up to its next command. */
export interface Activity {
  readonly number: number;
  readonly name: string;
  readonly job: MemoryJob | undefined;
  /** What it has heard from the store: with its code, all that it knows. */
  readonly heard: string[];
  readonly commands: Command[];
  /** Whether it has done anything since it could be lost last: one that only looked might as well look when it is lost. */
  isDifferent: boolean;
  isLost: boolean;
  isOver: boolean;
}

/** The ports whose commands change or read what others change. */
export const GATED = new Set(['ledger', 'publisher', 'headers', 'jobs', 'failures']);

/** Commands that change nothing, and whose answer is the same when it is known that somebody is lost. */
const LOOKS = new Set([
  'ledger.readNode',
  'ledger.readChild',
  'ledger.readFailure',
  'ledger.readFailures',
  'ledger.isRevoked',
  'headers.failuresByName',
  'headers.areStragglers',
]);

/** Where every command waits for its turn that comes from an activity. */
export class Gates {
  /** Whose commands come now: one activity goes on at a time. */
  current: Activity | undefined;
  /** Nothing happens any more. */
  isShut = false;
  readonly commands = new Set<string>();

  /** A port of which each command waits. */
  port<Port extends object>(name: string, port: Port): Port {
    return new Proxy(port, {
      get: (target, method) => {
        const value = Reflect.get(target, method) as unknown;
        if (typeof value !== 'function') return value;
        const call = value.bind(target) as (...args: unknown[]) => unknown;
        // Pages are read at once: here a collection is one page.
        if (value.constructor.name === 'AsyncGeneratorFunction') return call;
        // Puts members together: no command.
        if (name === 'dispatch' && method === 'prepare') return call;
        return async (...args: unknown[]) => {
          const answer = await this.command(`${name}.${String(method)}`, () => call(...args));
          return method === 'open' ? this.port('dispatch', answer as object) : answer;
        };
      },
    });
  }

  async command(name: string, call: () => unknown): Promise<unknown> {
    const activity = this.current;
    if (activity === undefined) return call();
    if (this.isShut) throw new Error('the world has ended');
    this.commands.add(name);
    await new Promise<void>((happen, fail) => activity.commands.push({ name, happen, fail }));
    const answer = await call();
    activity.isDifferent = !LOOKS.has(name);
    activity.heard.push(`${name} ${JSON.stringify(answer) ?? ''}`);
    return answer;
  }
}
