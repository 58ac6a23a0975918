import { PLAIN_VALUES } from '../codec/stored-values.js';
import { TaskRegistry } from '../task/task-registry.js';
import { Attempt } from './attempt.js';
import { askErrorHooks } from './error-hooks.js';
import type { EngineLog } from './engine-log.js';

describe('a hook that does not answer', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('has 5 s; then the decision stays, and the next hook is asked', async () => {
    const lines: string[] = [];
    const log = { error: (line: string) => lines.push(line) } as unknown as EngineLog;
    const told: string[] = [];
    const registry = new TaskRegistry();
    const silent = { kind: 'error', source: 'Hooks.silent', tasks: ['t'] } as const;
    registry.addHook({ ...silent, invoke: () => new Promise(() => undefined) });
    registry.addHook({
      ...silent,
      source: 'Hooks.next',
      invoke: async (payload) => {
        told.push((payload as { decision: { do: string } }).decision.do);
        return { do: 'ignore' };
      },
    });
    const delivery = { id: 'x', name: 't', queue: 'q', activations: 1, attemptsMade: 0 } as never;
    const definition = { name: 't', options: {}, policies: [] } as never;
    const clock = { wallMs: () => 0 };
    const envelope = { v: 1, args: [] } as const;
    const attempt = new Attempt(delivery, definition, envelope, [], {
      clock,
      values: PLAIN_VALUES,
    } as never);
    const failed = { kind: 'failed', error: new Error('no') } as const;
    const asked = askErrorHooks(registry.hooksOf('t', 'error'), { attempt, definition, envelope }, failed, {
      registry,
      values: PLAIN_VALUES,
      clock,
      log,
    });
    await jest.advanceTimersByTimeAsync(4_999);
    expect(told).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(await asked).toEqual({ kind: 'succeeded', value: null });
    expect(told).toEqual(['fail']);
    expect(lines).toEqual([
      expect.stringContaining('Hooks.silent did not decide about t; it stays at "fail"'),
    ]);
  });
});
