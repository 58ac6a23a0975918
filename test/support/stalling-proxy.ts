/**
 * A loopback proxy in front of Redis that lets single connections go silent, as a firewall does that has forgotten
 * them: both ends believe that they are connected, and nothing arrives.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

interface Line {
  readonly client: Socket;
  readonly upstream: Socket;
  /** What the client has said so far, in its protocol. */
  said: string;
  stalled: boolean;
}

export class StallingProxy {
  readonly #lines = new Set<Line>();

  private constructor(
    private readonly server: Server,
    private readonly target: { readonly host: string; readonly port: number },
  ) {
    server.on('connection', (client) => this.#serve(client));
  }

  static async start(url: string): Promise<StallingProxy> {
    const { hostname, port } = new URL(url);
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new StallingProxy(server, { host: hostname, port: Number(port) });
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /**
   * Stalls the connections that have ever said something; later ones are not concerned.
   *
   * @returns how many
   */
  stall(something: string): number {
    const found = [...this.#lines].filter(({ said }) => said.includes(something));
    for (const line of found) {
      line.stalled = true;
      line.client.pause();
      line.upstream.pause();
    }
    return found.length;
  }

  /** Passes on everything again, what was held back first. */
  resume(): void {
    for (const line of this.#lines) {
      line.stalled = false;
      line.client.resume();
      line.upstream.resume();
    }
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const { client } of this.#lines) client.destroy();
    await closed;
  }

  #serve(client: Socket): void {
    const upstream = connect({ ...this.target, noDelay: true });
    const line: Line = { client, upstream, said: '', stalled: false };
    this.#lines.add(line);
    client.on('data', (chunk: Buffer) => {
      if (line.said.length < 100_000) line.said += chunk.toString('latin1');
      upstream.write(chunk);
    });
    upstream.on('data', (chunk: Buffer) => client.write(chunk));
    for (const [end, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      end.on('error', () => end.destroy());
      end.on('close', () => {
        this.#lines.delete(line);
        other.destroy();
      });
    }
  }
}
