import type { Persistence, ServerReport } from '../backend/inspection.js';

/** The fields of an answer to INFO. */
export type ServerInfo = ReadonlyMap<string, string>;

/** Reads the answer to INFO: lines of `field:value` below headlines. */
export function parseInfo(text: string): ServerInfo {
  const fields = new Map<string, string>();
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

/**
 * What the answer to INFO says.
 *
 * @param snapshots whether the server makes snapshots by itself, which only CONFIG says; undefined where that is hidden
 */
export function readServer(info: ServerInfo, snapshots: boolean | undefined): ServerReport {
  return {
    version: info.get('redis_version'),
    role: readRole(info.get('role')),
    loading: info.get('loading') === '1',
    maxmemoryPolicy: info.get('maxmemory_policy'),
    usedMemoryBytes: readNumber(info, 'used_memory'),
    maxMemoryBytes: readNumber(info, 'maxmemory'),
    persistence: readPersistence(info, snapshots),
    failedWrite: readFailedWrite(info),
  };
}

/** Whether it takes CONFIG to know if the server keeps its data. */
export function asksForSnapshots(info: ServerInfo): boolean {
  return info.get('aof_enabled') === '0';
}

function readRole(role: string | undefined): ServerReport['role'] {
  if (role === 'master') return 'master';
  return role === 'slave' || role === 'replica' ? 'replica' : 'unknown';
}

function readPersistence(info: ServerInfo, snapshots: boolean | undefined): Persistence {
  const aof = info.get('aof_enabled');
  if (aof === undefined) return 'unknown';
  if (aof === '1') return 'aof';
  if (snapshots !== undefined) return snapshots ? 'rdb' : 'off';
  // Snapshots that were made since the start; Redis counts them from version 7.
  return (readNumber(info, 'rdb_saves') ?? 0) > 0 ? 'rdb' : 'unknown';
}

function readFailedWrite(info: ServerInfo): ServerReport['failedWrite'] {
  if (info.get('aof_enabled') === '1' && info.get('aof_last_write_status') === 'err') return 'aof';
  return info.get('rdb_last_bgsave_status') === 'err' ? 'rdb' : undefined;
}

function readNumber(info: ServerInfo, field: string): number | undefined {
  const value = Number(info.get(field) ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}
