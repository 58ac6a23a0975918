import { InvalidOptionsError } from '../errors/configuration.errors.js';
import type { PoolOptions } from './pool-options.js';
import { optionsOfQueue, resolveOptions } from './resolve-options.js';
import { resolvePool } from './resolve-pool.js';

const file = '/app/dist/app.module.js';
const connection = { url: 'redis://localhost' };

describe('resolvePool', () => {
  it('fills in every default', () => {
    expect(resolvePool('pool', { type: 'process', module: file, execArgv: [] }, 3)).toEqual({
      type: 'process',
      module: `file://${file}`,
      export: undefined,
      size: 3,
      maxTasksPerChild: Infinity,
      maxMemoryBytes: Infinity,
      startTimeoutMs: 60_000,
      killGraceMs: 5_000,
      closeTimeoutMs: 5_000,
      execArgv: [],
      env: {},
    });
  });

  it.each<[limit: number | string, bytes: number]>([
    [1_024, 1_024],
    ['512mb', 536_870_912],
    ['1.5 GB', 1_610_612_736],
  ])('reads the memory limit %p', (maxMemoryPerChild, bytes) => {
    expect(resolvePool('pool', { type: 'process', module: file, maxMemoryPerChild }, 1)?.maxMemoryBytes).toBe(
      bytes,
    );
  });

  it.each<[pool: unknown, path: string]>([
    [{ type: 'thread' }, 'pool.type'],
    [{ type: 'process', module: './app.module.js' }, 'pool.module'],
    [{ type: 'process', module: 'https://example.org/app.js' }, 'pool.module'],
    [{ type: 'process', module: file, size: 0 }, 'pool.size'],
    [{ type: 'process', module: file, size: 2 }, 'pool.size'],
    [{ type: 'process', module: file, maxMemoryPerChild: 'much' }, 'pool.maxMemoryPerChild'],
    [{ type: 'process', module: file, env: { A: 1 } }, 'pool.env.A'],
    [{ type: 'process', module: file, execArgs: [] }, 'pool.execArgs'],
    [{ type: 'in-process', module: file }, 'pool.module'],
  ])('refuses %j', (pool, path) => {
    const resolve = () => resolvePool('pool', pool as PoolOptions, 4);
    expect(resolve).toThrow(InvalidOptionsError);
    expect(resolve).toThrow(expect.objectContaining({ path }));
  });

  it('lets a queue have another pool than the worker, or none', () => {
    const options = resolveOptions({
      connection,
      worker: { pool: { type: 'process', module: file, size: 2 } },
      queues: {
        plain: { pool: { type: 'in-process' } },
        big: { concurrency: 8, pool: { type: 'process', module: file } },
      },
    });
    expect(optionsOfQueue(options, 'plain')).toMatchObject({ concurrency: 10, pool: undefined });
    expect(optionsOfQueue(options, 'big')).toMatchObject({ concurrency: 8, pool: { size: 8 } });
    expect(optionsOfQueue(options, 'undeclared')).toMatchObject({ concurrency: 2, pool: { size: 2 } });
  });
});
