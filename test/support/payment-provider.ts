import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Charge {
  readonly charge: string;
  readonly account: string;
  readonly amount: number;
}

interface Asked {
  readonly account: string;
  readonly amount: number;
  readonly fence: number;
}

/**
 * Somebody who takes money, behind HTTP: honours idempotency keys, and refuses a fencing token that is lower than one it
 * has seen of the account. Counts what it was asked for and what it took.
 */
export class PaymentProvider {
  readonly charges = new Map<string, Charge>();
  /** Requests by their key: those that were carried out again are answered with the first charge. */
  readonly requests = new Map<string, number>();
  /** Tokens of each account, in the order in which they were accepted. */
  readonly fences = new Map<string, number[]>();
  refused = 0;

  private constructor(private readonly server: Server) {
    server.on('request', (request, response) => {
      void this.#charge(request).then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
  }

  static async start(): Promise<PaymentProvider> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new PaymentProvider(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #charge(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const { account, amount, fence } = JSON.parse(text) as Asked;
    const key = String(request.headers['idempotency-key']);
    this.requests.set(key, (this.requests.get(key) ?? 0) + 1);
    const seen = this.fences.get(account) ?? [];
    if (fence < (seen.at(-1) ?? 0)) {
      this.refused += 1;
      return { status: 409, body: { error: 'stale' } };
    }
    this.fences.set(account, [...seen, fence]);
    const charge = this.charges.get(key) ?? { charge: `charge ${this.charges.size + 1}`, account, amount };
    this.charges.set(key, charge);
    return { status: 200, body: { charge: charge.charge, amount: charge.amount } };
  }
}
