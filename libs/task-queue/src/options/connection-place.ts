import type { ResolvedConnection } from './resolve-connection.js';

/**
 * Whether two connections lead to the same database, as far as can be told from what they say: two names of one host
 * are not seen through.
 */
export function isSamePlace(one: ResolvedConnection, other: ResolvedConnection): boolean {
  if (one.kind === 'client' && other.kind === 'client' && one.client === other.client) return true;
  const place = placeOf(one);
  return place !== undefined && place === placeOf(other);
}

/** What options of ioredis say about where Redis is. */
interface Address {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly path?: string | undefined;
  readonly db?: number | undefined;
  readonly sentinels?: readonly { readonly host?: string; readonly port?: number }[] | null | undefined;
  /** The group of masters that the sentinels watch. */
  readonly name?: string | null | undefined;
}

function placeOf(connection: ResolvedConnection): string | undefined {
  if (connection.kind === 'url') return placeOfUrl(connection.url, connection.options);
  if (connection.kind === 'options') return placeOfAddress(connection.options);
  if (connection.kind === 'missing') return undefined;
  // A Cluster has many addresses, of which each of two clients may name another one.
  return connection.client.isCluster ? undefined : placeOfAddress(connection.client.options as Address);
}

function placeOfUrl(text: string, options: Address): string {
  const url = new URL(text);
  const db = url.pathname.slice(1) || url.searchParams.get('db');
  return placeOfAddress({
    host: url.hostname,
    port: url.port === '' ? undefined : Number(url.port),
    db: db ? Number(db) : options.db,
  });
}

function placeOfAddress({ host, port, path, db, sentinels, name }: Address): string {
  if (sentinels?.length) {
    const nodes = sentinels.map((sentinel) => `${sentinel.host}:${sentinel.port ?? 26_379}`).sort();
    return `sentinels ${nodes.join()} of ${name} db ${db ?? 0}`;
  }
  if (path) return `${path} db ${db ?? 0}`;
  const known = host === undefined || host === 'localhost' ? '127.0.0.1' : host;
  return `${known.toLowerCase()}:${port ?? 6379} db ${db ?? 0}`;
}
