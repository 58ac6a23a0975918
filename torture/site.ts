/** A Redis of a lane's own, which may be lost like anything else. */
import { Redis } from 'ioredis';
import type { SentinelConnection } from '../test/support/sentinel.js';
import { PrivateRedis } from '../test/support/workers/private-redis.js';
import type { TortureProxy } from './proxy.js';

/** How to connect: to an address, or to whomever Sentinels name. */
export type Connection = { readonly url: string } | SentinelConnection;

/** Where a lane works. */
export interface Site {
  /** For reads from outside. They wait while there is no Redis. */
  readonly redis: Redis;
  /** How somebody connects who only looks on. */
  readonly connection: Connection;
  /** How an actor connects. */
  through(proxy: TortureProxy): Connection;
  /** Ends Redis with SIGKILL and starts it again with what it has, where it was; only where that is nothing but a fault. */
  restart(): Promise<void>;
  end(): Promise<void>;
}

/** Every write is in a file before it is answered, so that none is lost with the process. */
export class OwnRedis implements Site {
  readonly redis: Redis;

  private constructor(private readonly server: PrivateRedis) {
    this.redis = new Redis(server.url, { maxRetriesPerRequest: null });
    this.redis.on('error', () => undefined);
  }

  static async start(): Promise<OwnRedis> {
    return new OwnRedis(await PrivateRedis.start());
  }

  get connection(): Connection {
    return { url: this.server.url };
  }

  through(proxy: TortureProxy): Connection {
    const { hostname, port } = new URL(this.server.url);
    proxy.target = { host: hostname, port: Number(port) };
    return { url: proxy.url };
  }

  async restart(): Promise<void> {
    await this.server.kill();
    await this.server.restart();
  }

  async end(): Promise<void> {
    this.redis.disconnect();
    await this.server.end();
  }
}
