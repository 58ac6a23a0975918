import { PLAIN_VALUES } from '../codec/stored-values.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { type FailureSettlingDeps, FailureSettling } from './failure-settling.js';

describe('a hook that cannot be released before its worker stops', () => {
  const settling = (stopping: AbortSignal, publish: () => Promise<void>) =>
    new FailureSettling({
      ledger: { recordFailure: async () => true },
      hooks: { publish },
      registry: { hooksOf: () => [], letterHandlersOf: () => [{ task: 'bury', queue: 'q' }] },
      log: { warn: () => undefined, error: () => undefined },
      discretion: { fields: () => ({}) },
      tell: { failure: (verdict: object) => verdict },
      resultExpiresMs: () => 1,
      letters: { maxAgeMs: 1, maxCount: 1 },
      values: PLAIN_VALUES,
      stopping,
    } as unknown as FailureSettlingDeps);
  const delivery = { id: 'x', name: 't', queue: 'q' } as never;
  const failure = {
    request: { id: 'x', name: 't', args: [] },
    error: { name: 'Error', message: 'no' },
    reason: 'error',
  } as never;
  const letter = { id: 'x' } as never;

  it('has its task given back, so that whoever takes it up releases the hook', async () => {
    const away = async () => Promise.reject(new BrokerUnavailableError('away'));
    const subject = settling(AbortSignal.abort(), away);
    expect(await subject.store(delivery, failure, { letter })).toEqual({ do: 'give-back' });
  });

  it('is released before the task ends where Redis answers', async () => {
    const order: string[] = [];
    const subject = settling(new AbortController().signal, async () => void order.push('released'));
    expect(await subject.store(delivery, failure, { letter })).toMatchObject({ do: 'fail' });
    expect(order).toEqual(['released']);
  });
});
