import type { CallOptions, CanvasData } from '../canvas/canvas-data.js';
import { compileCanvas, compileChild, type CompileContext } from './compile-canvas.js';
import type { ChainNode, ChordNode, InputRef, NodeEnvelope, TaskEnvelope } from './envelope.js';
import type { FlowPlan } from './flow-plan.js';
import { parentOf } from './ids.js';

const NOW = 1_000_000;
const context: CompileContext = {
  queueOf: (task) => (task === 'report' ? 'reports' : 'default'),
  priorityOf: (task) => (task === 'urgent' ? 3 : undefined),
  recovery: 'ErrbackOnly',
  nowMs: NOW,
};
const INPUT: InputRef = { from: 'value', value: 42 };

const task = (name: string, options?: CallOptions, more: object = {}): CanvasData => ({
  kind: 'task',
  task: name,
  args: [name],
  ...(options ? { options } : {}),
  ...more,
});
const chain = (steps: CanvasData[], more: object = {}): CanvasData => ({ kind: 'chain', steps, ...more });
const group = (members: CanvasData[], more: object = {}): CanvasData => ({ kind: 'group', members, ...more });
const chord = (header: CanvasData[], body: CanvasData, more: object = {}): CanvasData => ({
  kind: 'chord',
  header,
  body,
  ...more,
});
const cb = task('callback');

const compile = (canvas: CanvasData, input?: InputRef) => compileCanvas(canvas, 'c', context, input);

function* jobsOf(plan: FlowPlan): Generator<FlowPlan> {
  yield plan;
  for (const child of plan.children) yield* jobsOf(child);
}
/** `id name` of every job, parents first. */
const outline = (plan: FlowPlan): string[] => [...jobsOf(plan)].map(({ job }) => `${job.id} ${job.name}`);
const jobOf = (plan: FlowPlan, id: string) => {
  const found = [...jobsOf(plan)].find(({ job }) => job.id === id);
  if (found === undefined) throw new Error(`no job ${id} in ${outline(plan).join(', ')}`);
  return found.job;
};
const taskData = (plan: FlowPlan, id: string) => jobOf(plan, id).data as TaskEnvelope;
const nodeData = (plan: FlowPlan, id: string) => jobOf(plan, id).data as NodeEnvelope;

describe('what is published at once', () => {
  it.each<[what: string, canvas: CanvasData, jobs: string[]]>([
    ['a task is one job', task('a'), ['c a']],
    ['a task with callbacks is a node over it', task('a', undefined, { links: [cb] }), ['c task', 'c.0 a']],
    ['a chain is a node over its first step', chain([task('a'), task('b')]), ['c chain', 'c.0 a']],
    ['a chain of one is its step', chain([task('a')]), ['c a']],
    ['a chain of one with callbacks is a node', chain([task('a')], { errbacks: [cb] }), ['c chain', 'c.0 a']],
    ['a group is a node over all members', group([task('a'), task('b')]), ['c group', 'c.0 a', 'c.1 b']],
    ['a group of one stays a group', group([task('a')]), ['c group', 'c.0 a']],
    ['an empty group is a node alone', group([]), ['c group']],
    [
      'a chord is a node over its header',
      chord([task('a'), task('b')], task('body')),
      ['c chord', 'c.0 a', 'c.1 b'],
    ],
    ['a chord without a header is a node alone', chord([], task('body')), ['c chord']],
    [
      'groups and headers at any depth, first steps of chains, and nothing that depends on a value',
      chord(
        [group([task('a'), chain([task('b'), task('later')])]), chord([task('d')], task('later'))],
        task('later'),
      ),
      ['c chord', 'c.0 group', 'c.0.0 a', 'c.0.1 chain', 'c.0.1.0 b', 'c.1 chord', 'c.1.0 d'],
    ],
    [
      'a chain in a chain is its steps',
      chain([chain([task('a'), chain([task('b')])]), task('d')]),
      ['c chain', 'c.0 a'],
    ],
    [
      'one with callbacks is a node of its own',
      chain([chain([task('a'), task('b')], { links: [cb] }), task('d')]),
      ['c chain', 'c.0 chain', 'c.0.0 a'],
    ],
  ])('%s', (_what, canvas, jobs) => {
    const plan = compile(canvas);
    expect(outline(plan)).toEqual(jobs);
    expect(plan.size).toBe(jobs.length);
    for (const { job, children, size } of jobsOf(plan)) {
      expect(children.map((child) => parentOf(child.job.id))).toEqual(children.map(() => job.id));
      expect(size).toBe(children.reduce((sum, child) => sum + child.size, 1));
    }
  });

  it('a chain without steps is a mistake of the caller', () => {
    expect(() => compile(chain([]))).toThrow(RangeError);
  });
});

describe('what a node remembers', () => {
  it('a chain: its later steps and where the first one is', () => {
    const canvas = chain([task('report'), chain([task('b'), task('c')])], {
      links: [cb],
      errbacks: [cb, cb],
    });
    expect(nodeData(compile(canvas), 'c')).toEqual({
      v: 1,
      node: 'chain',
      size: 3,
      rest: [task('b'), task('c')],
      links: [cb],
      errbacks: [cb, cb],
      firstQueue: 'reports',
    });
  });

  it('a task: where its child is', () => {
    expect(nodeData(compile(task('report', undefined, { links: [cb] })), 'c')).toEqual({
      v: 1,
      node: 'task',
      links: [cb],
      firstQueue: 'reports',
    });
  });

  it('a chord: its body, whose errbacks are its own, and its recovery', () => {
    const body = group([task('b')], { errbacks: [task('e body')], links: [task('l body')] });
    const canvas = chord([task('a')], body, { errbacks: [task('e')], links: [task('l')] });
    expect(nodeData(compile(canvas), 'c')).toEqual({
      v: 1,
      node: 'chord',
      size: 1,
      body: group([task('b')], { links: [task('l body')] }),
      recovery: 'ErrbackOnly',
      links: [task('l')],
      errbacks: [task('e'), task('e body')],
    });
  });

  it('the recovery that the chord names, else that of the module', () => {
    const named = compile(chord([], task('b'), { recovery: 'Mine' }));
    expect((nodeData(named, 'c') as ChordNode).recovery).toBe('Mine');
    expect((nodeData(compile(chord([], task('b'))), 'c') as ChordNode).recovery).toBe('ErrbackOnly');
  });

  it('nothing that is not there', () => {
    expect(nodeData(compile(group([task('a')], { links: [], errbacks: [] })), 'c')).toEqual({
      v: 1,
      node: 'group',
      size: 1,
    });
  });
});

describe('how long a job stays', () => {
  it('a task that stands alone until it has expired, nodes with their canvas, everything below with its end', () => {
    expect(compile(task('a')).job.retention).toBe('age');
    const plan = compile(group([task('a'), task('b', undefined, { links: [cb] })]));
    expect([...jobsOf(plan)].map(({ job }) => [job.id, job.retention])).toEqual([
      ['c', 'canvas'],
      ['c.0', 'parent'],
      ['c.1', 'canvas'],
      ['c.1.0', 'parent'],
    ]);
    expect(compile(chain([task('a')])).job.retention).toBe('age');
    expect(compileChild(task('a'), 'c.1', context, undefined, undefined).job.retention).toBe('parent');
  });
});

describe('the input', () => {
  it('goes to every task that starts the canvas, and to nothing else', () => {
    const canvas = chord(
      [
        task('a'),
        task('b', undefined, { immutable: true }),
        chain([task('d'), task('later')]),
        group([task('e')]),
      ],
      task('body'),
    );
    const plan = compile(canvas, INPUT);
    const inputs = [...jobsOf(plan)].flatMap(({ job }) =>
      'args' in job.data ? [[job.id, (job.data as TaskEnvelope).input]] : [],
    );
    expect(inputs).toEqual([
      ['c.0', INPUT],
      ['c.1', undefined],
      ['c.2.0', INPUT],
      ['c.3.0', INPUT],
    ]);
  });

  it('passes through the node of a task that has callbacks', () => {
    const plan = compile(task('a', undefined, { links: [cb] }), INPUT);
    expect(taskData(plan, 'c.0')).toEqual({ v: 1, args: ['a'], input: INPUT });
  });

  it('is absent where there is none', () => {
    expect(compile(task('a')).job.data).toEqual({ v: 1, args: ['a'] });
  });
});

describe('options of a task', () => {
  it.each<[what: string, canvas: CanvasData, job: object, data: object]>([
    ['its declared queue', task('report'), { queue: 'reports' }, {}],
    [
      'the queue that its data names',
      task('report', undefined, { taskQueue: 'elsewhere' }),
      { queue: 'elsewhere' },
      {},
    ],
    [
      'the queue of the call',
      task('report', { queue: 'call' }, { taskQueue: 'elsewhere' }),
      { queue: 'call' },
      {},
    ],
    ['its declared priority', task('urgent'), { priority: 3 }, {}],
    ['the priority of the call', task('urgent', { priority: 9 }), { priority: 9 }, {}],
    ['a countdown', task('a', { countdownMs: 500 }), { delayMs: 500 }, {}],
    ['an eta', task('a', { eta: NOW + 700 }), { delayMs: 700 }, {}],
    ['an expiry', task('a', { expires: 77 }), {}, { expires: 77 }],
    ['an expiry from its release', task('a', { expiresInMs: 500 }), {}, { expires: NOW + 500 }],
    [
      'limits, retries, headers, an ignored result',
      task('a', { softTimeLimitMs: 1, timeLimitMs: 2, maxRetries: 0, headers: { h: 1 }, ignoreResult: true }),
      {},
      { softTimeLimitMs: 1, timeLimitMs: 2, maxRetries: 0, headers: { h: 1 }, ignoreResult: true },
    ],
  ])('%s', (_what, canvas, job, data) => {
    const plan = compile(canvas);
    expect(plan.job).toMatchObject(job);
    expect(plan.job.data).toEqual({ v: 1, args: [expect.any(String)], ...data });
  });

  it('an eta that has passed, and a countdown of nothing, are no delay', () => {
    for (const options of [{ eta: NOW - 5 }, { eta: NOW }, { countdownMs: 0 }]) {
      expect(compile(task('a', options)).job).not.toHaveProperty('delayMs');
    }
  });

  it('an id of its own is not handed on', () => {
    const plan = compile(group([task('a')], { options: { taskId: 'mine', headers: { h: 1 } } }));
    expect(taskData(plan, 'c.0')).toEqual({ v: 1, args: ['a'], headers: { h: 1 } });
  });
});

describe('options of a composite', () => {
  const from = { queue: 'q', priority: 5, maxRetries: 1, headers: { above: 1, both: 'above' } };

  it('reach every part that starts with it; its own win, headers are merged', () => {
    const own = { queue: 'own', headers: { own: 2, both: 'own' } };
    const plan = compile(group([task('a'), group([task('b', own)])], { options: from }));
    expect(jobOf(plan, 'c.0')).toMatchObject({
      queue: 'q',
      priority: 5,
      data: { maxRetries: 1, headers: from.headers },
    });
    expect(jobOf(plan, 'c.1.0')).toMatchObject({
      queue: 'own',
      priority: 5,
      data: { maxRetries: 1, headers: { above: 1, both: 'own', own: 2 } },
    });
  });

  it('are kept for steps and bodies that come later, without its start: the canvas was delayed, not each step', () => {
    const options = { ...from, countdownMs: 500, expires: NOW + 900 };
    const { countdownMs: _start, ...inherited } = options;
    const steps = compile(chain([task('a'), task('b')], { options }));
    expect((nodeData(steps, 'c') as ChainNode).inherit).toEqual(inherited);
    expect(jobOf(steps, 'c.0').delayMs).toBe(500);
    const joined = compile(
      chord([task('a'), task('b')], task('body'), {
        options: { ...options, countdownMs: undefined, eta: NOW + 80 } as never,
      }),
    );
    expect((nodeData(joined, 'c') as ChordNode).inherit).not.toHaveProperty('eta');
    expect([jobOf(joined, 'c.0').delayMs, jobOf(joined, 'c.1').delayMs]).toEqual([80, 80]);
  });

  it('that are nothing but a start leave nothing to inherit', () => {
    const plan = compile(chain([task('a'), task('b')], { options: { countdownMs: 5 } }));
    expect(nodeData(plan, 'c')).not.toHaveProperty('inherit');
  });

  it('go through a chain of one, and through the nodes of tasks', () => {
    expect(compile(chain([task('a')], { options: from })).job).toMatchObject({
      queue: 'q',
      data: { maxRetries: 1 },
    });
    const plan = compile(group([task('a', undefined, { links: [cb] })], { options: from }));
    expect(jobOf(plan, 'c.0')).toMatchObject({ queue: '_canvas', data: { firstQueue: 'q' } });
    expect(jobOf(plan, 'c.0.0')).toMatchObject({ queue: 'q', priority: 5 });
  });

  it.each<[own: CallOptions, above: CallOptions, job: object, data: object]>([
    [{ countdownMs: 10 }, { eta: NOW + 99 }, { delayMs: 10 }, {}],
    [{ eta: NOW + 10 }, { countdownMs: 99 }, { delayMs: 10 }, {}],
    [{ expires: 10 }, { expiresInMs: 99 }, {}, { expires: 10 }],
    [{ expiresInMs: 10 }, { expires: 99 }, {}, { expires: NOW + 10 }],
    [{}, { countdownMs: 99, expires: 98 }, { delayMs: 99 }, { expires: 98 }],
  ])('its own start or expiry %j replaces %j', (own, above, job, data) => {
    const plan = compile(group([task('a', own)], { options: above }));
    expect(jobOf(plan, 'c.0')).toMatchObject(job);
    expect(taskData(plan, 'c.0')).toEqual({ v: 1, args: ['a'], ...data });
  });
});

describe('a child that comes later', () => {
  it('has the input and what its node hands down', () => {
    const plan = compileChild(group([task('a'), task('b', { queue: 'own' })]), 'c.1', context, INPUT, {
      queue: 'q',
    });
    expect(outline(plan)).toEqual(['c.1 group', 'c.1.0 a', 'c.1.1 b']);
    expect([jobOf(plan, 'c.1.0').queue, jobOf(plan, 'c.1.1').queue]).toEqual(['q', 'own']);
    expect([taskData(plan, 'c.1.0').input, taskData(plan, 'c.1.1').input]).toEqual([INPUT, INPUT]);
  });
});
