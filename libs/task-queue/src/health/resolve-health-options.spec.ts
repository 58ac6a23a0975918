import { InvalidOptionsError } from '../errors/configuration.errors.js';
import type { HealthOptions } from './health-options.js';
import { overrideOptions, resolveHealthOptions } from './resolve-health-options.js';

describe('options of health checks', () => {
  it('have defaults', () => {
    expect(resolveHealthOptions()).toEqual({
      connection: undefined,
      timeoutMs: 1_000,
      broker: {
        latencyMs: { degraded: undefined, down: undefined },
        memory: { degraded: 0.9, down: undefined },
        persistence: 'required',
        maxmemoryPolicy: 'noeviction',
      },
      workers: { stuckAfterMs: 15_000, eventLoopLagMs: { degraded: 1_000, down: 10_000 } },
      queues: {
        backlog: { degraded: 10_000, down: undefined },
        oldestMs: { degraded: 600_000, down: undefined },
        overrides: new Map(),
        unserved: 'degraded',
      },
      failures: { waiting: { degraded: 100, down: undefined } },
      canvases: { stuckAfterMs: 3_600_000, stuck: { degraded: 1, down: undefined } },
      breakers: { open: 'degraded' },
      degradedAs: 'degraded',
    });
  });

  it('of one queue stand over those of all', () => {
    const { queues } = resolveHealthOptions({
      queues: { backlog: { down: 50_000 }, overrides: { mail: { oldest: { degraded: false, down: '1h' } } } },
    });
    expect(queues.overrides.get('mail')).toEqual({
      backlog: { degraded: 10_000, down: 50_000 },
      oldestMs: { degraded: undefined, down: 3_600_000 },
    });
  });

  it('of a call stand over those of the module, option by option', () => {
    const module: HealthOptions = { timeout: 5, queues: { unserved: 'down', backlog: { degraded: 1 } } };
    expect(overrideOptions(module, { queues: { backlog: { down: 2 } } })).toMatchObject({
      timeout: 5,
      queues: { unserved: 'down', backlog: { down: 2 } },
    });
  });

  it.each<[options: unknown, path: string]>([
    [{ timeuot: 5 }, 'timeuot'],
    [{ timeout: 'soon' }, 'timeout'],
    [{ timeout: 0 }, 'timeout'],
    [{ connection: '' }, 'connection'],
    [{ broker: { memory: { degraded: 90 } } }, 'broker.memory.degraded'],
    [{ broker: { memory: { degrade: 0.9 } } }, 'broker.memory.degrade'],
    [{ broker: { persistence: false } }, 'broker.persistence'],
    [{ broker: { latency: '1s' } }, 'broker.latency'],
    [{ workers: { stuckAfter: 'later' } }, 'workers.stuckAfter'],
    [{ workers: { eventLoopLag: { degraded: '20s' } } }, 'workers.eventLoopLag.degraded'],
    [{ queues: { backlog: { degraded: 0 } } }, 'queues.backlog.degraded'],
    [{ queues: { backlog: { degraded: 20_000, down: 10 } } }, 'queues.backlog.degraded'],
    [{ queues: { overrides: [] } }, 'queues.overrides'],
    [{ queues: { overrides: { mail: { backlog: { down: 1.5 } } } } }, 'queues.overrides.mail.backlog.down'],
    [{ queues: { unserved: true } }, 'queues.unserved'],
    [{ failures: 5 }, 'failures'],
    [{ canvases: { stuck: { degraded: '1' } } }, 'canvases.stuck.degraded'],
    [{ degradedAs: 'fine' }, 'degradedAs'],
  ])('that cannot be read are refused: %j', (options, path) => {
    const refuse = (): unknown => resolveHealthOptions(options as HealthOptions);
    expect(refuse).toThrow(InvalidOptionsError);
    expect(refuse).toThrow(`Option ${path}: expected `);
  });
});
