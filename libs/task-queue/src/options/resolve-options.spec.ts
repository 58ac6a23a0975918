import { CallbackWithSuccesses, ErrbackOnly } from '../chords/built-in-recoveries.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { locateRedis, redactUrl } from './resolve-connection.js';
import { resolveOptions, withQueues } from './resolve-options.js';
import type { TaskQueueConnection, TaskQueueModuleOptions } from './task-queue-options.js';

const URL = 'redis://localhost:6379';
const connection = { url: URL };
const resolve = (options: object, env: Record<string, string> = {}) =>
  resolveOptions(options as TaskQueueModuleOptions, env);

function refusalOf(run: () => unknown): InvalidOptionsError {
  try {
    run();
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

describe('resolveOptions', () => {
  it('fills in every default', () => {
    expect(resolve({ connection })).toEqual({
      name: 'default',
      connection: { kind: 'url', url: URL, options: {} },
      role: 'both',
      prefix: 'tq',
      shards: 1,
      queues: expect.any(Map),
      defaults: { softTimeLimitMs: undefined, timeLimitMs: undefined, resultExpiresMs: 86_400_000 },
      chord: { recovery: ErrbackOnly },
      deadLetters: { maxAgeMs: 2_592_000_000, maxCount: 10_000, sendTo: [] },
      publishTimeoutMs: 5_000,
      redact: expect.any(Function) as () => unknown,
      logging: { form: 'params', messageKey: 'msg', args: false },
      limits: {
        argumentBytes: 4_194_304,
        resultBytes: 4_194_304,
        canvasBytes: 4_194_304,
        inlineCharacters: 16_384,
      },
      errors: [],
      codec: undefined,
      worker: {
        lockDurationMs: 10_000,
        stalledIntervalMs: 3_000,
        reconcileIntervalMs: 30_000,
        drainTimeoutMs: 30_000,
        maxTimesLost: 1,
        canvasConcurrency: 20,
        currentTask: true,
        stuckAfterMs: 10_000,
        blockedAfterMs: 5_000,
      },
    });
    expect([...resolve({ connection }).queues]).toEqual([
      ['default', { concurrency: 10, resultExpiresMs: 86_400_000 }],
    ]);
  });

  it('reads durations, queues and the recovery', () => {
    const options = resolve({
      connection,
      queues: { reports: { concurrency: 2, resultExpires: '2d' }, default: { concurrency: 20 } },
      defaults: { softTimeLimit: '5m', timeLimit: '5m30s', resultExpires: 3_600_000 },
      chord: { recovery: CallbackWithSuccesses },
      limits: { argumentBytes: 1_000, canvasBytes: Infinity, inlineCharacters: 10 },
      worker: { drainTimeout: 0 },
    });
    expect(options.limits).toEqual({
      argumentBytes: 1_000,
      resultBytes: 4_194_304,
      canvasBytes: Infinity,
      inlineCharacters: 10,
    });
    expect(options.defaults).toEqual({
      softTimeLimitMs: 300_000,
      timeLimitMs: 330_000,
      resultExpiresMs: 3_600_000,
    });
    expect(Object.fromEntries(options.queues)).toEqual({
      default: { concurrency: 20, resultExpiresMs: 3_600_000 },
      reports: { concurrency: 2, resultExpiresMs: 172_800_000 },
    });
    expect(options.chord.recovery).toBe(CallbackWithSuccesses);
    expect(options.worker.drainTimeoutMs).toBe(0);
  });

  it('looks for stalled tasks at least once per lock duration', () => {
    expect(resolve({ connection, worker: { lockDuration: '2s' } }).worker.stalledIntervalMs).toBe(2_000);
  });

  it('is frozen all the way down, and leaves what the user wrote alone', () => {
    const tls = { servername: 'redis.internal' };
    const options = resolve({ connection: { url: URL, tls }, queues: { reports: {} } });
    expect(() => Object.assign(options.worker, { maxTimesLost: 9 })).toThrow(TypeError);
    expect(() => Object.assign(options.queues.get('reports') ?? {}, { concurrency: 9 })).toThrow(TypeError);
    expect(() => (options.queues as Map<string, unknown>).set('x', {})).toThrow(TypeError);
    expect(Object.isFrozen((options.connection as { options: { tls: object } }).options.tls)).toBe(true);
    expect(Object.isFrozen(tls)).toBe(false);
  });

  it.each([
    [{ conection: connection }, 'Option conection: expected one of the options name, connection, role, prefix, shards, queues, defaults, chord, deadLetters, publishTimeout, limits, errors, codec, worker, redact, logging (did you mean "connection"?), got "conection".'], // prettier-ignore
    [{ worker: { locksDuration: '1s' } }, 'Option worker.locksDuration: expected one of the options lockDuration, stalledInterval, reconcileInterval, drainTimeout, maxTimesLost, canvasConcurrency, currentTask, stuckAfter, blockedAfter, pool (did you mean "lockDuration"?), got "locksDuration".'], // prettier-ignore
    [{ queues: { reports: { concurency: 2 } } }, 'Option queues.reports.concurency: expected one of the options concurrency, resultExpires, pool (did you mean "concurrency"?), got "concurency".'], // prettier-ignore
    [{ queues: { reports: { concurrency: 0 } } }, 'Option queues.reports.concurrency: expected a whole number of 1 or more, got 0.'], // prettier-ignore
    [{ queues: { reports: { concurrency: '2' } } }, 'Option queues.reports.concurrency: expected a whole number of 1 or more, got "2".'], // prettier-ignore
    [
      { deadLetters: { maxCount: -1 } },
      'Option deadLetters.maxCount: expected a whole number of 0 or more, got -1.',
    ],
    [{ deadLetters: { sendTo: { task: '', queue: 'dead' } } }, 'Option deadLetters.sendTo.task: expected the name of a task, got "".'], // prettier-ignore
    [{ deadLetters: { sendTo: [{ task: 'bury', queue: '_dead' }] } }, 'Option deadLetters.sendTo[0].queue: expected a queue name of 1 to 128 letters, digits, "_", "-" or ".", not beginning with "_", got "_dead".'], // prettier-ignore
    [{ deadLetters: { sendTo: { task: 'bury', queue: 'dead', from: ['a:b'] } } }, 'Option deadLetters.sendTo.from[0]: expected a queue name of 1 to 128 letters, digits, "_", "-" or ".", not beginning with "_", got "a:b".'], // prettier-ignore
    [{ deadLetters: { maxAge: 'old' } }, 'Option deadLetters.maxAge: expected milliseconds or a duration such as \'30s\' or \'5m30s\', got "old".'], // prettier-ignore
    [{ queues: { reports: 2 } }, 'Option queues.reports: expected an object, got "a number".'],
    [{ queues: ['reports'] }, 'Option queues: expected an object with the options of each queue under its name, got ["reports"].'], // prettier-ignore
    [{ queues: { _x: {} } }, 'Option queues._x: expected a queue name of 1 to 128 letters, digits, "_", "-" or ".", not beginning with "_", got "_x".'], // prettier-ignore
    [{ queues: { 'a:b': {} } }, 'Option queues.a:b: expected a queue name of 1 to 128 letters, digits, "_", "-" or ".", not beginning with "_", got "a:b".'], // prettier-ignore
    [{ role: 'consumer' }, "Option role: expected 'producer', 'worker' or 'both', got \"consumer\"."],
    [{ role: null }, 'Option role: expected a value, or that it is left out, got null.'],
    [
      { prefix: 'a{b}' },
      'Option prefix: expected 1 to 64 letters, digits, "_", "-", "." or ":", got "a{b}".',
    ],
    [{ shards: 1.5 }, 'Option shards: expected a whole number from 1 to 1024, got 1.5.'],
    [{ publishTimeout: 'soon' }, 'Option publishTimeout: expected milliseconds or a duration such as \'30s\' or \'5m30s\', got "soon".'], // prettier-ignore
    [{ publishTimeout: 0 }, "Option publishTimeout: expected milliseconds or a duration such as '30s' or '5m30s', of 1 ms or more, got 0."], // prettier-ignore
    [{ defaults: { timeLimit: '30d' } }, 'Option defaults.timeLimit: expected milliseconds or a duration such as \'30s\' or \'5m30s\', of at most 2147483647 ms, got "30d".'], // prettier-ignore
    [{ defaults: { softTimeLimit: '1m', timeLimit: '1m' } }, 'Option defaults.softTimeLimit: expected less than defaults.timeLimit (60000 ms), got "1m".'], // prettier-ignore
    [{ worker: { stalledInterval: '31s' } }, 'Option worker.stalledInterval: expected at most worker.lockDuration (10000 ms), got "31s".'], // prettier-ignore
    [
      { worker: { maxTimesLost: -1 } },
      'Option worker.maxTimesLost: expected a whole number of 0 or more, got -1.',
    ],
    [{ chord: { recovery: 'errback' } }, 'Option chord.recovery: expected a class that extends ChordRecovery, got "errback".'], // prettier-ignore
    [
      { errors: [TypeError, Date] },
      'Option errors[1]: expected a class that extends Error, got function Date.',
    ],
    [
      { limits: { resultBytes: 0 } },
      'Option limits.resultBytes: expected a whole number of bytes, of 1 or more, or Infinity, got 0.',
    ],
    [{ chord: { recovery: Date } }, 'Option chord.recovery: expected a class that extends ChordRecovery, got function Date.'], // prettier-ignore
  ])('refuses %j', (options, message) => {
    expect(refusalOf(() => resolve({ connection, ...options })).message).toBe(message);
  });

  it('refuses options that are none', () => {
    expect(refusalOf(() => resolveOptions(undefined as never, {})).message).toBe(
      'Option options: expected an object, got undefined.',
    );
  });
});

describe('connection', () => {
  it('is REDIS_URL when nothing else is said', () => {
    expect(resolve({}, { REDIS_URL: URL }).connection).toEqual({ kind: 'url', url: URL, options: {} });
  });

  it('is never a silent localhost', () => {
    for (const options of [{}, { connection: undefined }]) {
      const refusal = refusalOf(() => locateRedis(resolve(options).connection));
      expect(refusal.path).toBe('connection');
      expect(refusal.message).toContain('REDIS_URL');
    }
    expect(refusalOf(() => locateRedis(resolve({}, { REDIS_URL: '' }).connection)).path).toBe('connection');
    expect(refusalOf(() => resolve({ connection: {} })).message).toBe(
      'Option connection: expected a url, a host, a path or sentinels, got "an object (empty)".',
    );
    expect(refusalOf(() => resolve({ connection: { port: 6380, password: 'pw' } })).message).toBe(
      'Option connection: expected a url, a host, a path or sentinels, got "an object (port, password)".',
    );
  });

  it('does not fall back to REDIS_URL when another URL was meant and is missing', () => {
    const { connection } = resolve({ connection: { url: undefined } }, { REDIS_URL: URL });
    expect(refusalOf(() => locateRedis(connection)).path).toBe('connection.url');
  });

  it('keeps options of ioredis beside the URL, and without one', () => {
    const retryStrategy = () => 100;
    expect(resolve({ connection: { url: URL, db: 3, retryStrategy } }).connection).toEqual({
      kind: 'url',
      url: URL,
      options: { db: 3, retryStrategy },
    });
    const sentinels = [{ host: 'a', port: 26379 }];
    expect(resolve({ connection: { sentinels, name: 'main' } }).connection).toEqual({
      kind: 'options',
      options: { sentinels, name: 'main' },
    });
    expect(resolve({ connection: { path: '/run/redis.sock' } }).connection.kind).toBe('options');
  });

  it('takes a client as it is', () => {
    class Client {
      status = 'wait';
      duplicate(): void {}
      defineCommand(): void {}
    }
    const client = new Client();
    const resolved = resolve({ connection: client as unknown as TaskQueueConnection }).connection;
    expect(resolved).toEqual({ kind: 'client', client });
    expect((resolved as { client: unknown }).client).toBe(client);
    expect(Object.isFrozen(client)).toBe(false);
    expect(refusalOf(() => resolve({ connection: new Date() })).path).toBe('connection');
  });

  it('wants the name of the master beside Sentinels', () => {
    expect(refusalOf(() => resolve({ connection: { sentinels: [{ host: 'one' }] } })).message).toBe(
      'Option connection.name: expected the name under which the Sentinels know the master, got undefined.',
    );
    const connection = { sentinels: [{ host: 'one' }], name: 'tasks' };
    expect(resolve({ connection }).connection).toEqual({ kind: 'options', options: connection });
  });

  it.each([
    ['options', { host: 'redis', keyPrefix: 'my:' }],
    ['options beside a URL', { url: URL, keyPrefix: 'my:' }],
    ['a URL', { url: `${URL}?keyPrefix=my:` }],
  ])('refuses a keyPrefix in %s, and names what there is instead', (_, given) => {
    expect(refusalOf(() => resolve({ connection: given })).message).toBe(
      'Option connection.keyPrefix: expected none: the option prefix is the front of every key, got "my:".',
    );
  });

  it.each([
    'redis://user:sesame@',
    'http://user:sesame@host',
    'redis://user:se#sa@same@host:6379x',
    'redis://:sesame',
    'redis://user:sesame@host:notaport',
    'redis://user:sesame',
    'redis://user:sesame?x@host:y',
    'redis://host:y?password=a@sesame',
    'localhost:6379?password=sesame',
  ])('never shows the password of %s', (url) => {
    for (const run of [
      () => resolve({ connection: { url } }),
      () => resolve({ connection: url }),
      () => resolve({}, { REDIS_URL: url }),
      () => resolve({ conection: { url }, connection }),
    ]) {
      const refusal = refusalOf(run);
      expect(JSON.stringify([refusal.message, refusal.found, refusal.stack])).not.toMatch(/sesame|sa@same/);
    }
  });

  it('still shows where a URL points to', () => {
    expect(redactUrl('rediss://user:sesame@redis.internal:6380/2')).toBe(
      'rediss://***@redis.internal:6380/2',
    );
    expect(refusalOf(() => resolve({ connection: { url: 'localhost:6379' } })).message).toContain(
      'got "localhost:6379"',
    );
  });
});

describe('withQueues', () => {
  const root = resolve({ connection, queues: { reports: { concurrency: 2 } } });

  it('adds queues and leaves the first options as they were', () => {
    const more = withQueues(root, { mail: { concurrency: 5 }, reports: { concurrency: 2 } });
    expect([...more.queues.keys()]).toEqual(['default', 'reports', 'mail']);
    expect(more.queues.get('mail')).toEqual({ concurrency: 5, resultExpiresMs: 86_400_000 });
    expect(root.queues.has('mail')).toBe(false);
    expect(Object.isFrozen(more)).toBe(true);
  });

  it('refuses a queue that is declared twice in two ways', () => {
    expect(refusalOf(() => withQueues(root, { reports: { concurrency: 3 } })).message).toBe(
      'Option queues.reports: expected the options it was declared with before, ' +
        '{"concurrency":2,"resultExpiresMs":86400000}, got {"concurrency":3,"resultExpiresMs":86400000}.',
    );
  });
});
