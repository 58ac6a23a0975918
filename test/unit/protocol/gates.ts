import type { MemoryJob } from '../../../libs/task-queue/src/memory/memory-job.js';
import type { CountingStore } from './counting-store.js';
import type { Defects } from './defects.js';

interface Command {
  readonly name: string;
  readonly happen: () => void;
  readonly fail: (error: Error) => void;
}

/** What somebody has looked at who may look again. */
interface Look {
  readonly again: () => unknown;
  readonly heard: string;
}

/** Something that goes on by itself, up to its next command. */
export interface Activity {
  readonly number: number;
  readonly name: string;
  readonly job: MemoryJob | undefined;
  /** What it has heard from the store: with its code, all that it knows. */
  readonly heard: string[];
  readonly commands: Command[];
  /** What it has looked at since it began, or rested last, if it has done nothing else. */
  looks: Look[] | undefined;
  /** It would hear the same again, and rest again. */
  isResting: boolean;
  /** Commands that it has given. */
  length: number;
  /** Whether it has done anything since it could be lost last: one that only looked might as well look when it is lost. */
  isDifferent: boolean;
  isLost: boolean;
  isOver: boolean;
}

/** The ports whose commands change or read what others change. */
export const GATED = new Set(['ledger', 'publisher', 'headers', 'jobs', 'failures', 'refills']);

/** What somebody does who looks again later. */
export const REST = 'rest';

/** What somebody looks at again and again until it has changed: of all that he heard he keeps nothing when he rests. */
const WATCHED = new Set(['jobs.look', 'jobs.find', 'refills.unfinished']);

/** Commands that change nothing, and whose answer is the same when it is known that somebody is lost. */
const LOOKS = new Set([
  'ledger.readNode',
  'ledger.readChild',
  'ledger.readFailure',
  'ledger.readFailures',
  'ledger.isRevoked',
  'headers.failuresByName',
  'ledger.areRevokedByHand',
  'headers.areStragglers',
  'refills.unfinished',
  'jobs.look',
  'jobs.find',
  'jobs.readFailed',
  REST,
]);

/**
 * Commands in the name of an activation: in that of one that is lost they do nothing, whenever they come. So they need not be
 * put off, and it is looked whether they do nothing.
 */
export const FENCED =
  /^(ledger\.(setStage|settleValue|startExpiry|recordFailure|settleFailure|decideOnce|setData)|headers\.(close|park|wait|noteOutcome|keepLate)|publisher\.(publishUnder|addMember)|waitForChildren|end by .*)$/;

/** Commands of one activity: whoever needs more goes round in circles. */
const MOST = 100;

/** Where every command waits for its turn that comes from an activity. */
export class Gates {
  /** Whose commands come now: one activity goes on at a time. */
  current: Activity | undefined;
  /** Nothing happens any more. */
  isShut = false;
  readonly commands = new Set<string>();
  /** Who does not come to an end. */
  circling: string | undefined;

  constructor(
    private readonly store: CountingStore,
    private readonly defects: Defects = {},
  ) {}

  /** A port of which each command waits. */
  port<Port extends object>(name: string, port: Port): Port {
    return new Proxy(port, {
      get: (target, method) => {
        const value = Reflect.get(target, method) as unknown;
        if (typeof value !== 'function') return value;
        const right = value.bind(target) as (...args: readonly unknown[]) => unknown;
        const wrong = this.defects[`${name}.${String(method)}`];
        const call =
          wrong === undefined
            ? right
            : (...args: readonly unknown[]) =>
                wrong({ command: right, args, by: this.current?.name, store: this.store });
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
    if (name !== REST) this.commands.add(name);
    if (++activity.length > MOST) this.circling = activity.name;
    // The round that ends here was like the next one.
    if (name === REST && activity.looks !== undefined) activity.heard.length -= activity.looks.length;
    await new Promise<void>((happen, fail) => activity.commands.push({ name, happen, fail }));
    const answer = await call();
    activity.isDifferent = !LOOKS.has(name);
    if (name === REST) {
      activity.looks = [];
      return answer;
    }
    const heard = `${name} ${JSON.stringify(answer) ?? ''}`;
    activity.heard.push(heard);
    if (WATCHED.has(name)) activity.looks?.push({ again: call, heard: JSON.stringify(answer) });
    else activity.looks = undefined;
    return answer;
  }

  /** Notes whether somebody rests who would hear the same again. */
  async lookAgain(activity: Activity): Promise<void> {
    const { looks, commands } = activity;
    if (activity.isOver || commands[0]?.name !== REST || looks === undefined) {
      activity.isResting = false;
      return;
    }
    const now = await Promise.all(looks.map(async ({ again }) => JSON.stringify(await again())));
    activity.isResting = looks.every(({ heard }, at) => heard === now[at]);
  }
}
