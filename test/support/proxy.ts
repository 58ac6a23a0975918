/**
 * A loopback proxy in front of Redis that cuts connections between two commands, and before or after the answer
 * to one, or stops passing on: what a failing network does, but at the worst moments.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { CommandSplitter } from './resp.js';

/**
 * What happens to a command: it passes; it is lost together with its connection; it is carried out and its answer is
 * lost together with the connection; or it is held back, and with it everything that the client sends on any
 * connection, until the proxy is told to release it.
 */
export type Fate = 'pass' | 'lose-command' | 'lose-answer' | 'hold';

/** Decides about each command, given as its name in upper case. */
export type Judge = (command: string) => Fate;

export class CuttingProxy {
  /** How many connections were cut so far, by fate. */
  readonly cuts = { 'lose-command': 0, 'lose-answer': 0 };
  judge: Judge = () => 'pass';
  readonly #open = new Set<Socket>();
  #held: (() => void)[] | undefined;

  private constructor(
    private readonly server: Server,
    /** The URL of the Redis to which new connections lead. */
    public target: string,
  ) {
    server.on('connection', (client) => this.#serve(client));
  }

  /** Starts a proxy in front of the Redis of a URL. */
  static async start(url: string): Promise<CuttingProxy> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new CuttingProxy(server, url);
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Whether commands are being held back. */
  get holding(): boolean {
    return this.#held !== undefined;
  }

  /** Whether a connection is open on either side. */
  get connected(): boolean {
    return this.#open.size > 0;
  }

  /** Passes on what was held back, in the order in which it came. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const passOn of held) passOn();
  }

  /** Cuts every connection that is open now. */
  cutAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cutAll();
    await closed;
  }

  #serve(client: Socket): void {
    const { hostname: host, port } = new URL(this.target);
    const upstream = connect({ host, port: Number(port), noDelay: true });
    const commands = new CommandSplitter();
    const ends = [client, upstream];
    let isCut = false;
    for (const socket of ends) {
      this.#open.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#open.delete(socket);
        // A command whose answer is to be lost is on its way yet.
        if (!isCut) for (const other of ends) other.destroy();
      });
    }
    upstream.on('data', (chunk: Buffer) => {
      if (!isCut) client.write(chunk);
    });
    client.on('data', (chunk: Buffer) => {
      for (const command of commands.push(chunk)) {
        if (isCut) return;
        const fate = this.#held ? 'hold' : this.judge(command.name);
        if (fate === 'hold') {
          (this.#held ??= []).push(() => upstream.write(command.bytes));
          continue;
        }
        if (fate !== 'lose-command') upstream.write(command.bytes);
        if (fate === 'pass') continue;
        isCut = true;
        this.cuts[fate]++;
        upstream.end();
        client.destroy();
      }
    });
  }
}
