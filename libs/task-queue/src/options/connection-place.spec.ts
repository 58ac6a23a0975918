import type { Cluster, Redis } from 'ioredis';
import { isSamePlace } from './connection-place.js';
import type { ResolvedConnection } from './resolve-connection.js';

const url = (text: string, options: object = {}): ResolvedConnection => ({ kind: 'url', url: text, options });
const options = (given: object): ResolvedConnection => ({ kind: 'options', options: given });
const client = (given: object, isCluster = false): ResolvedConnection => ({
  kind: 'client',
  client: { isCluster, options: given } as unknown as Redis | Cluster,
});

describe('isSamePlace', () => {
  it.each<[ResolvedConnection, ResolvedConnection]>([
    [url('redis://redis:6379'), url('redis://user:secret@REDIS/0')],
    [url('redis://redis/2'), url('redis://redis', { db: 2 })],
    [url('redis://redis/2'), url('redis://redis?db=2', { db: 3 })],
    [url('redis://localhost'), options({ host: '127.0.0.1' })],
    [
      options({ host: 'redis', port: 6380, db: 1 }),
      client({ host: 'redis', port: 6380, db: 1, sentinels: null }),
    ],
    [options({ path: '/run/redis.sock' }), client({ path: '/run/redis.sock', db: 0 })],
    [
      options({ sentinels: [{ host: 'a' }, { host: 'b', port: 1 }], name: 'm' }),
      options({
        sentinels: [
          { host: 'b', port: 1 },
          { host: 'a', port: 26_379 },
        ],
        name: 'm',
      }),
    ],
  ])('%j and %j', (one, other) => {
    expect(isSamePlace(one, other)).toBe(true);
    expect(isSamePlace(other, one)).toBe(true);
  });

  it.each<[ResolvedConnection, ResolvedConnection]>([
    [url('redis://redis'), url('redis://redis:6380')],
    [url('redis://redis'), url('redis://redis/1')],
    [url('redis://one'), options({ host: 'two' })],
    [options({ path: '/one' }), options({ path: '/two' })],
    [
      options({ sentinels: [{ host: 'a' }], name: 'one' }),
      options({ sentinels: [{ host: 'a' }], name: 'two' }),
    ],
    [client({}, true), client({}, true)],
  ])('not %j and %j', (one, other) => {
    expect(isSamePlace(one, other)).toBe(false);
  });

  it('one and the same client, also of a cluster', () => {
    const cluster = client({}, true);
    expect(isSamePlace(cluster, { ...cluster })).toBe(true);
  });
});
