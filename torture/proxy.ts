/**
 * The only way to Redis of one process: a loopback proxy that counts its commands, and stands still at the one that is
 * asked for, before it is sent or after it was carried out. What happens then is decided by a fault.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { AnswerSplitter, type Command, CommandSplitter } from '../test/support/resp.js';

/** Before a command is sent, or after Redis has carried it out and before its client hears of that. */
export type Side = 'before' | 'after';

/** Where a proxy is to stand still. */
export interface Trap {
  /** The how-manieth of the commands that count, from 1. */
  readonly k: number;
  readonly side: Side;
  readonly counts: (command: Command) => boolean;
  /** What is done while nothing passes. What was held back passes when it resolves, unless it was cut. */
  strike(command: Command, line: Line): Promise<void>;
}

/** One connection. */
export class Line {
  readonly commands = new CommandSplitter();
  readonly answers = new AnswerSplitter();
  /** For each answer that is to come, whether the proxy stands still at it. */
  readonly awaited: (Command | undefined)[] = [];
  /** Nothing is read of a connection that subscribes: its answers come unasked. */
  isRaw = false;
  /** The commands of a transaction count as one, with its EXEC: none of them is carried out before. */
  transaction: Command[] | undefined;
  readonly held: (() => void)[] = [];

  constructor(
    readonly client: Socket,
    readonly redis: Socket,
  ) {}

  /** Ends it. What was held back is lost. */
  cut(): void {
    this.held.length = 0;
    this.client.destroy();
    this.redis.destroy();
  }
}

/** A port that nobody listens on. */
const NOBODY = 1;

export class TortureProxy {
  /** How many commands counted since it was armed. */
  counted = 0;
  /** Where connections from now on lead to. */
  target: { readonly host: string; readonly port: number } = { host: '127.0.0.1', port: NOBODY };
  /** Whether the trap was sprung. */
  isSprung = false;
  readonly #lines = new Set<Line>();
  #trap: Trap | undefined;
  #isStill = false;

  private constructor(private readonly server: Server) {
    server.on('connection', (client) => this.#serve(client));
  }

  static async start(): Promise<TortureProxy> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new TortureProxy(server);
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Counts from now on, and stands still once, at the command that the trap is for. */
  arm(trap: Trap): void {
    this.#trap = trap;
    this.counted = 0;
    this.isSprung = false;
  }

  disarm(): void {
    this.#trap = undefined;
  }

  /** Cuts every connection that is open now. */
  cut(): void {
    for (const line of this.#lines) line.cut();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.disarm();
    this.cut();
    await closed;
  }

  #serve(client: Socket): void {
    const line = new Line(client, connect({ ...this.target, noDelay: true }));
    this.#lines.add(line);
    for (const socket of [line.client, line.redis]) {
      socket.on('error', () => line.cut());
      socket.on('close', () => {
        this.#lines.delete(line);
        line.cut();
      });
    }
    client.on('data', (chunk: Buffer) => {
      for (const command of line.commands.push(chunk)) this.#inTurn(line, () => this.#toRedis(line, command));
    });
    line.redis.on('data', (chunk: Buffer) => {
      if (line.isRaw) return this.#inTurn(line, () => line.client.write(chunk));
      for (const { isPush, bytes } of line.answers.push(chunk)) {
        const marked = isPush ? undefined : line.awaited.shift();
        if (marked !== undefined) this.#stand(marked, line);
        this.#inTurn(line, () => line.client.write(bytes));
      }
    });
  }

  /** Passes something on, or holds it back while nothing passes. */
  #inTurn(line: Line, passOn: () => void): void {
    if (this.#isStill) line.held.push(passOn);
    else passOn();
  }

  #toRedis(line: Line, command: Command): void {
    if (/^P?SUBSCRIBE$/.test(command.name)) line.isRaw = true;
    const isTheOne = this.#count(line, command);
    if (isTheOne && this.#trap?.side === 'before') {
      this.#stand(command, line);
      line.held.push(() => this.#send(line, command, false));
      return;
    }
    this.#send(line, command, isTheOne);
  }

  #send(line: Line, command: Command, isMarked: boolean): void {
    if (!line.isRaw) line.awaited.push(isMarked ? command : undefined);
    line.redis.write(command.bytes);
  }

  /** @returns whether it is the one that the trap is for */
  #count(line: Line, command: Command): boolean {
    const all = inTransaction(line, command);
    const trap = this.#trap;
    if (trap === undefined || all === undefined || this.isSprung || !all.some(trap.counts)) return false;
    this.counted++;
    this.isSprung = this.counted === trap.k;
    return this.isSprung;
  }

  #stand(command: Command, line: Line): void {
    const trap = this.#trap;
    if (trap === undefined) return;
    this.#isStill = true;
    // What went wrong with it is heard by whoever armed it.
    void trap
      .strike(command, line)
      .catch(() => undefined)
      .then(() => this.#goOn());
  }

  #goOn(): void {
    this.#isStill = false;
    for (const { held } of this.#lines) for (const passOn of held.splice(0)) passOn();
  }
}

/** What is carried out with this command: itself, a transaction that it ends, or nothing yet. */
function inTransaction(line: Line, command: Command): readonly Command[] | undefined {
  if (command.name === 'MULTI') {
    line.transaction = [];
    return undefined;
  }
  if (line.transaction === undefined) return [command];
  if (command.name !== 'EXEC' && command.name !== 'DISCARD') {
    line.transaction.push(command);
    return undefined;
  }
  const all = [command, ...line.transaction];
  line.transaction = undefined;
  return all;
}
