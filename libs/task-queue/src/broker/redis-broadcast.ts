import type { Broadcast } from '../backend/broadcast.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { bounded } from '../primitives/bounded.js';
import type { RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';
import { keepSubscribed } from './subscription.js';

/** Texts on a channel of Redis. The connection that listens is there as long as somebody does. */
export class RedisBroadcast implements Broadcast {
  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly timeoutMs: number,
  ) {}

  send(text: string): boolean {
    if (!this.connections.isReady('publish')) return false;
    this.connections
      .get('publish')
      .publish(this.keys.events, text)
      .catch(() => undefined); // at most once
    return true;
  }

  async listen(onText: (text: string) => void): Promise<() => void> {
    const client = this.connections.get('watch');
    const onMessage = (_channel: string, text: string): void => onText(text);
    client.on('message', onMessage);
    const stop = (): void => {
      client.off('message', onMessage);
      this.connections.drop('watch');
    };
    try {
      await bounded(
        new Promise<void>((resolve, reject) => keepSubscribed(client, this.keys.events, resolve, reject)),
        this.timeoutMs,
        () => new BrokerUnavailableError(`Redis did not answer within ${this.timeoutMs} ms.`),
      );
      return stop;
    } catch (error) {
      stop();
      throw error;
    }
  }
}
