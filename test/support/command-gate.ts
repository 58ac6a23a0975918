/**
 * Stops an application before one of the commands that it sends to Redis, so that something else can happen at that
 * boundary: what comes after the command on its connection waits with it, everything else goes on.
 */
import { Redis } from 'ioredis';

type Send = (this: Redis, command: Sent, stream?: unknown) => unknown;
interface Sent {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly promise: Promise<unknown>;
}

/** What no life of a task is made of: waiting for work, signs of life, housekeeping, messages. */
const ASIDE = new Set([
  'bzpopmin',
  'client',
  'info',
  'ping',
  'subscribe',
  'publish',
  'quit',
  'script',
  'hello',
  'time',
]);
const ASIDE_KEYS = /:_(workers|queues|expiry|dead)\b|:stalled(-check)?$|:meta$/;

export class CommandGate {
  readonly #original = Reflect.get(Redis.prototype, 'sendCommand') as unknown as Send;
  #count = 0;
  #before = '';
  #stopAt = Infinity;
  #stopped: Redis | undefined;
  #held: (() => void)[] = [];
  #reached: (() => void) | undefined;

  #client = '';

  constructor() {
    const pass = this.#pass.bind(this);
    const send: Send = function (command, stream) {
      return pass(this, command, stream);
    };
    Redis.prototype.sendCommand = send as never;
  }

  /**
   * Counts anew, and stops before the command of this number, from 0. Resolves when it is there.
   *
   * @param client the beginning of the names of the connections that are meant
   */
  stopAt(client: string, number: number): Promise<void> {
    this.#client = client;
    this.#count = 0;
    this.#stopAt = number;
    return new Promise((resolve) => (this.#reached = resolve));
  }

  /** The command that it has stopped before, for messages. */
  get before(): string {
    return this.#before;
  }

  /** Lets everything go on. */
  open(): void {
    this.#stopAt = Infinity;
    this.#stopped = undefined;
    for (const go of this.#held.splice(0)) go();
  }

  remove(): void {
    this.open();
    Redis.prototype.sendCommand = this.#original as never;
  }

  #pass(client: Redis, command: Sent, stream: unknown): unknown {
    const isMeant = (client.options.connectionName ?? '').startsWith(this.#client);
    if (!isMeant || !this.#holds(client, command)) return this.#original.call(client, command, stream);
    this.#held.push(() => void this.#original.call(client, command, stream));
    return command.promise;
  }

  #holds(client: Redis, command: Sent): boolean {
    if (this.#stopped === client) return true;
    if (ASIDE.has(command.name.toLowerCase())) return false;
    if (command.args.some((arg) => typeof arg === 'string' && ASIDE_KEYS.test(arg)) && !isLife(command))
      return false;
    if (this.#count++ !== this.#stopAt) return false;
    this.#stopped = client;
    this.#before = [command.name, ...command.args.slice(1, 4)]
      .map((part) => String(part).slice(0, 80))
      .join(' ');
    this.#reached?.();
    return true;
  }
}

/** A script of BullMQ's that moves a job names its queue's other keys as well. */
function isLife({ name, args }: Sent): boolean {
  return (
    name.toLowerCase().startsWith('eval') &&
    args.some((arg) => typeof arg === 'string' && arg.endsWith(':wait'))
  );
}
