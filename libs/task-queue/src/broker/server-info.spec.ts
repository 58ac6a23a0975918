import { parseInfo, readServer } from './server-info.js';

const info = (lines: Readonly<Record<string, string>>): ReturnType<typeof parseInfo> =>
  parseInfo(
    `# Server\r\n${Object.entries(lines)
      .map((pair) => pair.join(':'))
      .join('\r\n')}\r\n`,
  );

describe('what a server says of itself', () => {
  it('reads fields, whose values may hold colons', () => {
    expect(info({ redis_version: '7.0.15', os: 'a:b' })).toEqual(
      new Map([
        ['redis_version', '7.0.15'],
        ['os', 'a:b'],
      ]),
    );
  });

  it('knows nothing of what a provider hides', () => {
    expect(readServer(parseInfo(''), undefined)).toEqual({
      version: undefined,
      role: 'unknown',
      loading: false,
      maxmemoryPolicy: undefined,
      usedMemoryBytes: undefined,
      maxMemoryBytes: undefined,
      persistence: 'unknown',
      failedWrite: undefined,
    });
  });

  it('reads role, memory and policy', () => {
    const lines = { role: 'slave', used_memory: '10', maxmemory: '20', maxmemory_policy: 'allkeys-lru' };
    expect(readServer(info(lines), undefined)).toMatchObject({
      role: 'replica',
      usedMemoryBytes: 10,
      maxMemoryBytes: 20,
      maxmemoryPolicy: 'allkeys-lru',
    });
  });

  it.each<[what: string, lines: Record<string, string>, snapshots: boolean | undefined, persistence: string]>(
    [
      ['the append-only file', { aof_enabled: '1' }, undefined, 'aof'],
      ['snapshots, as CONFIG says', { aof_enabled: '0' }, true, 'rdb'],
      [
        'neither, as CONFIG says, whatever was saved by hand',
        { aof_enabled: '0', rdb_saves: '3' },
        false,
        'off',
      ],
      [
        'snapshots, as their number says where CONFIG is hidden',
        { aof_enabled: '0', rdb_saves: '3' },
        undefined,
        'rdb',
      ],
      ['nobody knows, where CONFIG is hidden', { aof_enabled: '0', rdb_saves: '0' }, undefined, 'unknown'],
    ],
  )('persistence: %s', (_what, lines, snapshots, persistence) => {
    expect(readServer(info(lines), snapshots).persistence).toBe(persistence);
  });

  it.each([
    [{ aof_enabled: '1', aof_last_write_status: 'err' }, 'aof'],
    [{ aof_enabled: '0', aof_last_write_status: 'err' }, undefined],
    [{ rdb_last_bgsave_status: 'err' }, 'rdb'],
    [{ aof_enabled: '1', aof_last_write_status: 'ok', rdb_last_bgsave_status: 'ok' }, undefined],
  ])('the write that failed: %j', (lines, failed) => {
    expect(readServer(info(lines), undefined).failedWrite).toBe(failed);
  });
});
