import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { RedisConnections } from './redis-connections.js';

/** Nobody listens there: every connection stays in its reconnecting. */
const nowhere = { kind: 'options', options: { host: '127.0.0.1', port: 1 } } as const;

describe('RedisConnections', () => {
  let errors: string[];
  let connections: RedisConnections;
  beforeEach(() => {
    errors = [];
    connections = new RedisConnections(nowhere, 'tq', (_error, purpose) => errors.push(purpose));
  });
  afterEach(() => connections.close());

  it('opens one connection per purpose, and the same one every time', () => {
    const publish = connections.get('publish');

    expect(connections.get('publish')).toBe(publish);
    expect(connections.get('ledger')).not.toBe(publish);
    expect(connections.isReady('publish')).toBe(false);
    expect(connections.isReady('consume')).toBe(false);
  });

  it.each([
    ['publish', { enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 }],
    ['ledger', { enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 }],
    ['consume', { enableOfflineQueue: true, maxRetriesPerRequest: null }],
  ] as const)(
    'holes H19 and H20: %s never resends by itself what may have been carried out',
    (purpose, options) => {
      expect(connections.get(purpose).options).toMatchObject(options);
    },
  );

  it("has names that Redis shows: the user's or the label, and the purpose", () => {
    expect(connections.get('publish').options).toMatchObject({ connectionName: 'tq:publish' });
    expect(connections.get('consume').options).toMatchObject({ connectionName: 'tq:consume' });
    const named = new RedisConnections(
      { kind: 'url', url: 'redis://127.0.0.1:1?connectionName=reports', options: {} },
      'tq',
      () => undefined,
    );
    expect(named.get('listen').options).toMatchObject({ connectionName: 'reports:listen' });
    named.close();
  });

  it('connects also where a URL says that it should not', () => {
    const lazy = new RedisConnections(
      { kind: 'url', url: 'redis://127.0.0.1:1?lazyConnect=true', options: {} },
      'tq',
      () => undefined,
    );
    expect(lazy.get('publish').status).toBe('connecting');
    lazy.close();
  });

  it('a reopening does not wait for ever for a socket that does not close', async () => {
    const client = connections.get('publish');
    client.status = 'ready';
    const disconnect = jest.spyOn(client, 'disconnect').mockReturnValue(undefined);
    const listen = jest.spyOn(client, 'once');

    await connections.reopen('publish', 30).finally(() => disconnect.mockRestore());

    // ioredis has listeners of its own, which come and go with its attempts to connect.
    const [, ours] = listen.mock.calls.find(([event]) => event === 'close') ?? [];
    expect(ours).toBeInstanceOf(Function);
    expect(client.rawListeners('close').map(unwrapped)).not.toContain(ours);
  });

  it('answers within the bound when nobody listens', async () => {
    const waiting = connections.ready('publish', 30);

    await expect(waiting).rejects.toThrow(BrokerUnavailableError);
  });

  it('does not pile up listeners while many wait for one connection', async () => {
    const client = connections.get('publish');
    const before = client.listenerCount('ready');

    const waiting = Array.from({ length: 50 }, () => connections.ready('publish', 10_000));

    expect(client.listenerCount('ready')).toBe(before + 1);
    client.emit('ready');
    expect(await Promise.all(waiting)).toEqual(Array.from(waiting, () => client));
    expect(client.listenerCount('ready')).toBe(before);
  });

  it('hears every error, so that none ends the process', async () => {
    const client = connections.get('ledger');

    await new Promise((resolve) => client.once('close', resolve));

    expect(errors).toContain('ledger');
  });

  it('opens a connection again that hears of a fail-over while it looks for the master', async () => {
    const asking: Socket[] = [];
    const sentinel = createServer((socket) => asking.push(socket.on('error', () => undefined)));
    await once(sentinel.listen(0, '127.0.0.1'), 'listening');
    const { port } = sentinel.address() as AddressInfo;
    const sentinels = [{ host: '127.0.0.1', port }];
    const options = { sentinels, name: 'tasks', sentinelCommandTimeout: 500 };
    const watched = new RedisConnections({ kind: 'options', options }, 'tq', () => undefined);
    try {
      const client = watched.get('publish');
      const { connector } = client as unknown as { connector: { disconnect(): void } };
      await once(sentinel, 'connection');
      const ended = new Promise<void>((resolve) => client.once('end', () => resolve()));
      // What its `failoverDetector` does when the Sentinels say that there is another master.
      connector.disconnect();
      const again = once(sentinel, 'connection');
      asking[0]?.destroy();
      await ended;
      await again;
      expect(client.status).toBe('connecting');
    } finally {
      watched.close();
      for (const socket of asking) socket.destroy();
      sentinel.close();
    }
  });
});

/** A listener, of `once` too. */
function unwrapped(listener: unknown): unknown {
  return (listener as { listener?: unknown }).listener ?? listener;
}
