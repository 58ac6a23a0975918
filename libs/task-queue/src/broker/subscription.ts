import type { RedisClient } from './redis-client.js';

/**
 * Listens to a channel from now on: subscribes as soon as the connection is usable, and anew each time it has been
 * opened again, until it is closed. Each of these ends in one of the two calls.
 *
 * ioredis would subscribe again by itself, but leaves the promise of that to nobody: an application that is closed just
 * then would end its process by an unhandled rejection.
 */
export function keepSubscribed(
  client: RedisClient,
  channel: string,
  onSubscribed: () => void,
  onError: (error: Error) => void,
): void {
  const subscribe = (): void => {
    client.subscribe(channel).then(onSubscribed, onError);
  };
  client.on('ready', subscribe);
  if (client.status === 'ready') subscribe();
}
