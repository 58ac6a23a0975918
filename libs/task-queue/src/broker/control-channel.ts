import type { Control, ControlMessage } from '../backend/control.js';
import type { RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';
import { keepSubscribed } from './subscription.js';

/** Tells workers of revocations on a channel of Redis; one that is reconnecting misses what is said meanwhile. */
export class ControlChannel implements Control {
  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly timeoutMs: number,
  ) {}

  async send(message: ControlMessage): Promise<void> {
    const client = await this.connections.ready('publish', this.timeoutMs);
    await client.publish(this.keys.control, JSON.stringify(message));
  }

  /** Listens from now on, over reconnects, until the connections close. */
  listen(onMessage: (message: ControlMessage) => void, onError: (error: Error) => void): void {
    const client = this.connections.get('listen');
    client.on('message', (_channel: string, text: string) => {
      const message = parse(text);
      if (message) onMessage(message);
    });
    // What was said about limits while nobody listened is stored: to be read once more.
    keepSubscribed(client, this.keys.control, () => onMessage({ limits: 'changed' }), onError);
  }
}

/** Anybody may publish on a channel of Redis; what is no message of ours is passed over. */
function parse(text: string): ControlMessage | undefined {
  try {
    const { revoke, terminate, generation, watch, types, unwatch, limits, limit, softMs, hardMs } =
      (JSON.parse(text) ?? {}) as Record<string, unknown>;
    if (typeof revoke === 'string')
      return { revoke, terminate: terminate === true, ...(isGeneration(generation) ? { generation } : {}) };
    if (limits === 'changed') return { limits };
    if (typeof limit === 'string')
      return { limit, ...(isTime(softMs) ? { softMs } : {}), ...(isTime(hardMs) ? { hardMs } : {}) };
    if (typeof unwatch === 'string') return { unwatch };
    if (typeof watch !== 'string') return undefined;
    return Array.isArray(types)
      ? { watch, types: types.filter((type) => typeof type === 'string') }
      : { watch };
  } catch {
    return undefined;
  }
}

function isGeneration(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}
