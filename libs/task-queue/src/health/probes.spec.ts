import type { QueueReport, ServerReport, WorkerReport } from '../backend/inspection.js';
import type { FetchLoop } from '../backend/workers.js';
import { judgeBroker } from './broker.probe.js';
import { judgeCanvases } from './canvases.probe.js';
import { judgeFailures } from './failures.probe.js';
import type { HealthOptions } from './health-options.js';
import { judgeQueues } from './queues.probe.js';
import { resolveHealthOptions } from './resolve-health-options.js';
import { reasonsOf } from './verdict.js';
import { judgeLiveness, judgeWorkers, type WorkersSeen } from './workers.probe.js';

const HEALTHY: ServerReport = {
  version: '7.0.15',
  role: 'master',
  loading: false,
  maxmemoryPolicy: 'noeviction',
  usedMemoryBytes: 50,
  maxMemoryBytes: 100,
  persistence: 'aof',
  failedWrite: undefined,
};

describe('the broker', () => {
  const judge = (server: Partial<ServerReport>, options: HealthOptions = {}, latencyMs = 1) => {
    const verdict = judgeBroker(
      { latencyMs, servers: [{ ...HEALTHY, ...server }] },
      resolveHealthOptions(options).broker,
    );
    return [verdict.status, ...reasonsOf(verdict)];
  };

  it.each<[what: string, server: Partial<ServerReport>, status: string, reason: RegExp | undefined]>([
    ['all is well', {}, 'up', undefined],
    ['nothing is known', { ...hidden(), role: 'unknown', persistence: 'unknown' }, 'up', undefined],
    ['it keeps nothing', { persistence: 'off' }, 'degraded', /persistence is off/],
    ['it keeps snapshots', { persistence: 'rdb' }, 'up', undefined],
    ['it evicts', { maxmemoryPolicy: 'allkeys-lru' }, 'degraded', /maxmemory-policy is allkeys-lru/],
    ['it is nearly full', { usedMemoryBytes: 91 }, 'degraded', /91 % of maxmemory/],
    ['it is full', { usedMemoryBytes: 100 }, 'down', /refuses to be written to/],
    ['it is full, without a limit', { usedMemoryBytes: 100, maxMemoryBytes: 0 }, 'up', undefined],
    ['it is a replica', { role: 'replica' }, 'down', /replica/],
    ['it loads', { loading: true }, 'down', /loading/],
    ['its file cannot be written', { failedWrite: 'aof' }, 'down', /append-only file/],
    ['its snapshot failed', { failedWrite: 'rdb' }, 'degraded', /snapshot/],
  ])('%s', (_what, server, status, reason) => {
    const [found, first] = judge(server);
    expect(found).toBe(status);
    expect(first ?? '').toMatch(reason ?? /^$/);
  });

  it('goes by the limits that it is given', () => {
    expect(judge({ persistence: 'off' }, { broker: { persistence: 'any' } })).toEqual(['up']);
    expect(judge({ maxmemoryPolicy: 'allkeys-lru' }, { broker: { maxmemoryPolicy: 'any' } })).toEqual(['up']);
    expect(judge({ usedMemoryBytes: 99 }, { broker: { memory: { degraded: false } } })).toEqual(['up']);
    expect(judge({ usedMemoryBytes: 60 }, { broker: { memory: { down: 0.6, degraded: 0.5 } } })[0]).toBe(
      'down',
    );
    const latency = { degraded: '100ms', down: '300ms' } as const;
    expect(judge({}, { broker: { latency } }, 99)[0]).toBe('up');
    expect(judge({}, { broker: { latency } }, 100)[0]).toBe('degraded');
    expect(judge({}, { broker: { latency } }, 300)[0]).toBe('down');
  });

  it('names what is down before what is degraded', () => {
    const [status, first, second] = judge({ persistence: 'off', role: 'replica' });
    expect([status, first, second]).toEqual([
      'down',
      expect.stringContaining('replica'),
      expect.stringContaining('persistence'),
    ]);
  });
});

function hidden(): Partial<ServerReport> {
  return {
    version: undefined,
    maxmemoryPolicy: undefined,
    usedMemoryBytes: undefined,
    maxMemoryBytes: undefined,
  };
}

const LOOP: FetchLoop = {
  queue: 'default',
  concurrency: 2,
  running: 0,
  state: 'running',
  movedAgoMs: 3,
  overdueMs: 0,
};

describe('the workers', () => {
  const limits = resolveHealthOptions({ workers: { stuckAfter: '15s' } }).workers;
  const seen = (loops: Partial<FetchLoop>[], over: Partial<WorkersSeen> = {}): WorkersSeen => ({
    role: 'both',
    state: 'serving',
    lagMs: 0,
    pools: new Map(),
    stuck: 0,
    tasks: ['Some.task'],
    loops: loops.map((loop) => ({ ...LOOP, ...loop })),
    answer: { latencyMs: 1, answeringForMs: 60_000 },
    ...over,
  });
  const judge = (loop: Partial<FetchLoop>, over: Partial<WorkersSeen> = {}) => {
    const workers = judgeWorkers(seen([loop], over), limits);
    const queue = 'queues' in workers.details ? workers.details.queues?.['default'] : undefined;
    return [queue?.state, workers.status, judgeLiveness(seen([loop], over), limits).status];
  };

  it.each<[what: string, loop: Partial<FetchLoop>, over: Partial<WorkersSeen>, expected: string[]]>([
    ['moves', {}, {}, ['moving', 'up', 'up']],
    ['waits a little longer than it should', { overdueMs: 15_000 }, {}, ['moving', 'up', 'up']],
    ['does not move', { overdueMs: 15_001 }, {}, ['stuck', 'down', 'down']],
    ['has no free slot', { running: 2, overdueMs: 0 }, {}, ['busy', 'up', 'up']],
    ['is paused', { state: 'paused', overdueMs: 99_999 }, {}, ['paused', 'down', 'up']],
    ['has ended', { state: 'ended' }, {}, ['ended', 'down', 'down']],
    [
      'cannot move, as Redis is away',
      { overdueMs: 99_999 },
      { answer: undefined },
      ['moving', 'degraded', 'up'],
    ],
    [
      'has hardly had the time to move since Redis is back',
      { overdueMs: 99_999 },
      { answer: { latencyMs: 1, answeringForMs: 15_000 } },
      ['moving', 'up', 'up'],
    ],
  ])('a loop that %s', (_what, loop, over, expected) => {
    expect(judge(loop, over)).toEqual(expected);
  });

  it.each<[lagMs: number, status: string, live: string]>([
    [999, 'up', 'up'],
    [1_000, 'degraded', 'up'],
    [10_000, 'down', 'down'],
  ])('an event loop that was blocked for %d ms', (lagMs, status, live) => {
    expect(judge({}, { lagMs })).toEqual(['moving', status, live]);
  });

  it.each<[role: WorkersSeen['role'], state: WorkersSeen['state'], status: string]>([
    ['producer', 'idle', 'up'],
    ['producer', 'stopped', 'down'],
    ['worker', 'idle', 'down'],
    ['worker', 'stopped', 'down'],
  ])('a %s that is %s', (role, state, status) => {
    const found = seen([], { role, state, answer: undefined });
    expect(judgeWorkers(found, limits).status).toBe(status);
    expect(judgeLiveness(found, limits).status).toBe('up');
  });

  it.each<[ready: number, problem: string | undefined, status: string]>([
    [3, undefined, 'up'],
    [3, 'one died', 'up'],
    [2, undefined, 'up'], // one is being renewed
    [2, 'out of memory', 'degraded'],
    [0, undefined, 'down'],
    [0, 'the module does not load', 'down'],
  ])('a pool of 3 processes of which %d are ready, with the problem %j, is %s', (ready, problem, status) => {
    const pools = new Map([['reports', { size: 3, ready, busy: 0, problem }]]);
    const verdict = judgeWorkers(seen([{}], { pools }), limits);
    expect(verdict.status).toBe(status);
    if (verdict.status === 'up') return;
    expect(verdict.reasons).toEqual([
      `queue reports: ${ready} of the 3 processes of its pool are ready${problem === undefined ? '' : `: ${problem}`}`,
    ]);
    // A restart would not help: the pool starts processes by itself.
    expect(judgeLiveness(seen([{}], { pools }), limits).status).toBe('up');
  });

  it('takes the shards of a queue together, the worst of them for the state', () => {
    const verdict = judgeWorkers(
      seen([{ running: 2 }, { overdueMs: 20_000, running: 1, movedAgoMs: 25_000 }, {}]),
      limits,
    );
    expect(verdict).toMatchObject({
      status: 'down',
      reasons: ['queue default: nothing has been fetched or looked for since 25 s, although Redis answers'],
      details: { queues: { default: { state: 'stuck', running: 3, concurrency: 6, movedAgoMs: 25_000 } } },
    });
  });
});

const NOW = 10_000_000;
const QUEUE: QueueReport = {
  queue: 'reports',
  waiting: 0,
  delayed: 0,
  active: 0,
  failed: 0,
  paused: false,
  waitingSinceMs: undefined,
};
const WORKER: WorkerReport = {
  id: 'w',
  host: 'h',
  pid: 1,
  queues: ['reports'],
  tasks: [],
  beatAgoMs: 5,
  isSilent: false,
};

describe('the queues', () => {
  const judge = (
    report: Partial<QueueReport>,
    options: HealthOptions['queues'] = {},
    workers: readonly WorkerReport[] = [WORKER],
  ) => {
    const verdict = judgeQueues(
      [{ ...QUEUE, ...report }],
      workers,
      NOW,
      resolveHealthOptions({ queues: options }).queues,
    );
    return [verdict.status, ...reasonsOf(verdict)];
  };

  it.each<[report: Partial<QueueReport>, options: HealthOptions['queues'], expected: string[]]>([
    [{}, {}, ['up']],
    [{ waiting: 9_999 }, {}, ['up']],
    [{ waiting: 10_000 }, {}, ['degraded', 'queue reports: 10000 tasks wait, 10000 or more']],
    [{ waiting: 10_000 }, { backlog: { degraded: false } }, ['up']],
    [
      { waiting: 7 },
      { backlog: { degraded: 5, down: 7 } },
      ['down', 'queue reports: 7 tasks wait, 7 or more'],
    ],
    [
      { waiting: 7 },
      { backlog: { degraded: 5 }, overrides: { reports: { backlog: { degraded: 8 } } } },
      ['up'],
    ],
    [
      { waiting: 7 },
      { backlog: { degraded: 5 }, overrides: { other: {} } },
      ['degraded', expect.any(String)],
    ],
    [{ waiting: 1, waitingSinceMs: NOW - 599_999 }, {}, ['up']],
    [
      { waiting: 1, waitingSinceMs: NOW - 5_400_000 },
      {},
      ['degraded', 'queue reports: a task has been waiting for 1.5 h, 10 min or more'],
    ],
    [{ waiting: 1, waitingSinceMs: NOW + 5_000 }, { oldest: { degraded: 1 } }, ['up']],
    [{ paused: true }, {}, ['degraded', 'queue reports: it is paused']],
  ] as never)('%j with %j', (report, options, expected) => {
    expect(judge(report, options)).toEqual(expected);
  });

  it('says when nobody serves what waits', () => {
    const idle = { ...WORKER, queues: ['other'] };
    expect(judge({ waiting: 3 }, {}, [idle])).toEqual([
      'degraded',
      'queue reports: 3 tasks wait, and no worker serves it',
    ]);
    expect(judge({ waiting: 3 }, { unserved: 'down' }, [])[0]).toBe('down');
    expect(judge({ waiting: 3 }, { unserved: 'ignored' }, [])).toEqual(['up']);
    expect(judge({ delayed: 3 }, {}, [])).toEqual(['up']);
  });
});

describe('failures and canvases', () => {
  it('counts failures of tasks and of canvases', () => {
    const reports = [
      { ...QUEUE, failed: 2 },
      { ...QUEUE, queue: 'quiet' },
      { ...QUEUE, queue: '_canvas', failed: 3 },
    ];
    const details = { waiting: 5, canvases: 3, tasks: { reports: 2 } };
    expect(judgeFailures(reports, resolveHealthOptions().failures)).toEqual({ status: 'up', details });
    expect(
      judgeFailures(
        reports,
        resolveHealthOptions({ failures: { waiting: { down: 5, degraded: 1 } } }).failures,
      ),
    ).toEqual({
      status: 'down',
      reasons: ['5 failures are kept, 5 or more'],
      details,
    });
  });

  it('names canvases that stand still', () => {
    const limits = resolveHealthOptions({ canvases: { stuckAfter: '2h' } }).canvases;
    const oldest = [{ id: '0~abc', waitingSinceMs: NOW - 7_300_000 }];
    expect(judgeCanvases({ waiting: 4, overdue: 0, oldest: [] }, NOW, limits).status).toBe('up');
    expect(judgeCanvases({ waiting: 4, overdue: 2, oldest }, NOW, limits)).toEqual({
      status: 'degraded',
      reasons: ['2 steps of canvases have been waiting for more than 2 h: 0~abc'],
      details: { waiting: 4, stuck: 2, oldest: [{ id: '0~abc', waitingMs: 7_300_000 }] },
    });
  });
});
