import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TimeLimitExceededError } from '../errors/task.errors.js';
import { ErrorKinds } from './error-kinds.js';
import { decideRetry } from './retry-decision.js';
import { compileRetryPolicy, matchesAny } from './retry-policy.js';
import { RetryPresets } from './retry-presets.js';

type Preset = keyof typeof RetryPresets;
const coded = (code: string, name = 'Error'): Error => Object.assign(new Error('x'), { code, name });
const http = (status: number): Error => Object.assign(new Error(`HTTP ${status}`), { response: { status } });

/** The kinds that an error is of. */
function kindsOf(error: unknown): string[] {
  return Object.entries(ErrorKinds).flatMap(([name, kind]) => (matchesAny(error, [kind]) ? [name] : []));
}

describe('ErrorKinds', () => {
  it.each<[what: string, error: unknown, kinds: string[]]>([
    ['a refused connection', coded('ECONNREFUSED'), ['network']],
    ['a name that does not resolve', coded('ENOTFOUND'), ['network']],
    ['one in the causes', new TypeError('fetch failed', { cause: coded('ECONNRESET') }), ['network']],
    ['a socket that is silent', coded('ETIMEDOUT'), ['timeout']],
    ['a time limit of the task', new TimeLimitExceededError(5), ['timeout']],
    ['HTTP 408', http(408), ['timeout']],
    ['HTTP 429', http(429), ['rateLimit']],
    ['a deadlock of PostgreSQL', coded('40P01', 'error'), ['databaseLock']],
    [
      'a deadlock behind an ORM',
      Object.assign(new Error('x'), { driverError: coded('ER_LOCK_DEADLOCK') }),
      ['databaseLock'],
    ],
    ['HTTP 503', { statusCode: 503 }, ['serviceDown']],
    ['HTTP 501', http(501), []],
    ['an exception that tells its status', { getStatus: () => 400 }, ['invalidData']],
    ['an error of a validator', coded('x', 'ZodError'), ['invalidData']],
    ['HTTP 410', http(410), ['notFound']],
    ['an entity that is not there', coded('x', 'EntityNotFoundError'), ['notFound']],
    ['HTTP 401', http(401), ['authentication']],
    ['HTTP 403', { response: { statusCode: 403 } }, ['authentication']],
    ['any other error', new Error('x'), []],
    ['a text', 'ECONNREFUSED', []],
    ['nothing', undefined, []],
    ['an error whose causes go round', cycle(), []],
    ['an error that throws when it is looked at', thrower(), []],
  ])('%s', (_what, error, kinds) => {
    expect(kindsOf(error)).toEqual(kinds);
  });

  it('knows what fetch and AbortSignal.timeout really throw', async () => {
    const server = createServer(() => undefined); // never answers
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const silence: unknown = await fetch(url, { signal: AbortSignal.timeout(20) }).catch(
      (error: unknown) => error,
    );
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const refusal: unknown = await fetch(url).catch((error: unknown) => error);
    expect([kindsOf(silence), kindsOf(refusal)]).toEqual([['timeout'], ['network']]);
  });
});

describe('RetryPresets', () => {
  const NOW = Date.parse('2026-01-01T00:00:00Z');
  /** How long an error is waited for, retry after retry, until it is final; a day has passed before the last. */
  function waitsOf(preset: Preset, error: unknown): number[] {
    const policy = compileRetryPolicy(RetryPresets[preset]);
    const waits: number[] = [];
    for (let now = NOW; waits.length < 200;) {
      const state = { policies: [policy], made: { '0': waits.length }, sinceMs: NOW };
      const decision = decideRetry(error, state, { wallMs: () => now }, () => 1);
      if (decision.kind === 'fail') break;
      waits.push(decision.delayMs);
      now += decision.delayMs;
    }
    return waits;
  }

  it.each<[preset: Preset, error: unknown, seconds: number[]]>([
    ['network', coded('ECONNRESET'), [1, 2, 4, 8, 16, 32]],
    ['rateLimit', http(429), Array<number>(10).fill(30)],
    ['databaseLock', coded('40001'), [1, 2, 4]],
    ['timeout', coded('ETIMEDOUT'), [5, 10, 20]],
    ['invalidData', http(422), []],
    ['notFound', http(404), []],
    ['authentication', http(401), []],
  ])('%s', (preset, error, seconds) => {
    expect(waitsOf(preset, error)).toEqual(seconds.map((each) => each * 1_000));
    expect(waitsOf(preset, new Error('of another kind'))).toEqual([]);
  });

  it('rateLimit waits as the other side says', () => {
    const [first] = waitsOf('rateLimit', Object.assign(http(429), { retryAfter: 3 }));
    expect(first).toBe(3_000);
  });

  it('serviceDown is patient, for a day', () => {
    const waits = waitsOf('serviceDown', http(503));
    expect(waits.slice(0, 6)).toEqual([1, 2, 4, 8, 16, 30].map((minutes) => minutes * 60_000));
    const total = waits.reduce((sum, wait) => sum + wait, 0);
    expect(total).toBeGreaterThan(23 * 3_600_000);
    expect(total).toBeLessThanOrEqual(24 * 3_600_000);
  });

  it('those that fail at once do so beside a policy for everything', () => {
    const policies = [{}, RetryPresets.notFound].map(compileRetryPolicy);
    const state = { policies, made: {}, sinceMs: NOW };
    expect(decideRetry(http(404), state, { wallMs: () => NOW }, () => 1).kind).toBe('fail');
  });
});

function cycle(): Error {
  const error = new Error('x') as Error & { cause: unknown };
  error.cause = error;
  return error;
}

function thrower(): object {
  return new Proxy(
    {},
    {
      get: () => {
        throw new Error('no');
      },
    },
  );
}
