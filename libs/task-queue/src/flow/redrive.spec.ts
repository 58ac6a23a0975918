import type { CanvasData } from '../canvas/canvas-data.js';
import type { ChordNode, EndedGeneration, NodeEnvelope, TaskEnvelope } from './envelope.js';
import {
  type EndedNode,
  type EndedTask,
  type KeptStage,
  planRedrive,
  redrivenAfter,
  type Rerun,
  sizeOfRerun,
} from './redrive.js';

const step = (task: string): CanvasData => ({ kind: 'task', task, args: [] });
const group: NodeEnvelope = { v: 1, node: 'group', size: 3 };
const chain: NodeEnvelope = { v: 1, node: 'chain', size: 3, rest: [step('b'), step('c')] };
const chord: ChordNode = { v: 1, node: 'chord', size: 3, body: step('body'), recovery: 'ErrbackOnly' };
const ended: EndedGeneration = {
  generation: 0,
  state: 'FAILURE',
  error: 'E: x',
  finishedAt: '2026-01-01T00:00:00.000Z',
  rerun: 0,
};

const task = (
  id: string,
  call: EndedTask['call'] = { name: 't', data: { v: 1, args: [id] } },
): EndedTask => ({
  kind: 'task',
  queue: 'q',
  id,
  call,
});
const node = (
  id: string,
  data: NodeEnvelope,
  failed: EndedNode['failed'],
  more: Partial<EndedNode> = {},
): EndedNode => ({ kind: 'node', id, node: data, isOut: false, failed, ...more });
const at = (stage: number, id: string, before?: string): KeptStage => ({
  stage,
  child: { queue: 'q', id },
  ...(before === undefined ? {} : { before: { queue: 'q', id: before } }),
});

/** `id changed [children]`, and what else is said of a node. */
function outline({ job, children, stage, drops, keepsDecision }: Rerun): string {
  const { redriven, anew } = job.data as NodeEnvelope & ChordNode;
  return [
    job.id,
    ...(job.queue === '_canvas' ? [`[${redriven?.changed.join(' ')}]`] : []),
    ...(stage === undefined ? [] : [`@${stage.stage}`]),
    ...(drops === undefined ? [] : [`-${drops.id}`]),
    ...(anew === undefined ? [] : [`anew ${anew}`]),
    ...(keepsDecision === true ? ['decided'] : []),
    ...(children.length === 0 ? [] : [`(${children.map(outline).join(', ')})`]),
  ].join(' ');
}

describe('planRedrive', () => {
  it.each<[what: string, root: EndedNode, outline: string | undefined, left: string[]]>([
    ['members of a group', node('x', group, [task('x.2'), task('x.0')]), 'x [0 2] (x.2, x.0)', []],
    ['none', node('x', group, []), undefined, []],
    ['one that is gone', node('x', group, [task('x.1', 'gone')]), undefined, ['x.1']],
    [
      'one that was revoked, beside another',
      node('x', group, [task('x.1', 'revoked'), task('x.2')]),
      'x [2] (x.2)',
      ['x.1'],
    ],
    ['a task with callbacks', node('x', { v: 1, node: 'task' }, [task('x.0')]), 'x [0] (x.0)', []],
    ['the first step', node('x', chain, [task('x.0')]), 'x [0] (x.0)', []],
    ['a later step', node('x', chain, [task('x.2')], { stage: at(2, 'x.2', 'x.1') }), 'x [2] @2 (x.2)', []],
    [
      'a step that is gone: from the one before it',
      node('x', chain, [task('x.2', 'gone')], { stage: at(2, 'x.2', 'x.1') }),
      'x [] @1 -x.2',
      [],
    ],
    [
      'the second step that is gone: from the first',
      node('x', chain, [task('x.1', 'gone')], { stage: at(1, 'x.1', 'x.0') }),
      'x [] -x.1',
      [],
    ],
    ['the first step that is gone', node('x', chain, [task('x.0', 'gone')]), undefined, ['x.0']],
    [
      'a step that was revoked',
      node('x', chain, [task('x.1', 'revoked')], { stage: at(1, 'x.1') }),
      undefined,
      ['x.1'],
    ],
    ['members of a header', node('x', chord, [task('x.1')]), 'x [1] (x.1)', []],
    [
      'members of a header whose body has run',
      node('x', chord, [task('x.1')], { stage: at(1, 'x.body') }),
      'x [1] -x.body anew 4 (x.1)',
      [],
    ],
    [
      'members of a header, and a body that failed over the others',
      node('x', chord, [task('x.1'), task('x.body')], { stage: at(1, 'x.body') }),
      'x [1] -x.body anew 4 (x.1)',
      [],
    ],
    [
      'a body',
      node('x', chord, [task('x.body')], { stage: at(1, 'x.body') }),
      'x [] @1 decided (x.body)',
      [],
    ],
    [
      'a body over members that stay failed',
      node('x', chord, [task('x.0', 'revoked'), task('x.body')], { stage: at(1, 'x.body') }),
      'x [] @1 decided (x.body)',
      ['x.0'],
    ],
    [
      'a body that is gone: the chord adds it again',
      node('x', chord, [task('x.body', 'gone')], { stage: at(1, 'x.body') }),
      'x [] -x.body decided',
      [],
    ],
    [
      'leaves in a tree',
      node('x', group, [
        node('x.0', chain, [node('x.0.1', group, [task('x.0.1.2')])], { stage: at(1, 'x.0.1') }),
        task('x.2'),
      ]),
      'x [0 2] (x.0 [1] @1 (x.0.1 [2] (x.0.1.2)), x.2)',
      [],
    ],
    [
      'beside a node that is out',
      node('x', group, [node('x.0', group, [task('x.0.0')], { isOut: true }), task('x.1')]),
      'x [1] (x.1)',
      ['x.0'],
    ],
    ['a root that is out', node('x', group, [task('x.0')], { isOut: true }), undefined, ['x']],
  ])('%s', (_what, root, expected, left) => {
    const plan = planRedrive(root, 4, ended);
    expect(plan.rerun && outline(plan.rerun)).toBe(expected);
    expect(plan.left).toEqual(left);
  });

  it('a call begins from scratch, in its generation, and keeps what it was published with', () => {
    const data: TaskEnvelope = {
      v: 1,
      args: [1],
      input: { from: 'value', value: 2 },
      headers: { tenant: 3 },
      maxRetries: 4,
      timeLimitMs: 5,
      each: 'map',
      done: [6],
      expires: 7,
      lost: 1,
      attempts: [],
      retried: { made: {}, last: '0', attempts: 1 },
      parked: { times: 1, slot: 1, attempt: 1 },
      waitingSince: 8,
      replaced: { state: 'added', by: { queue: 'q', id: 'r' } },
      redriven: { generation: 3, changed: [9] },
    };
    const { rerun, tasks } = planRedrive(
      node('x', group, [task('x.0', { name: 't', data, priority: 2 })]),
      4,
      ended,
    );
    expect(rerun?.children).toEqual([
      {
        job: {
          id: 'x.0',
          queue: 'q',
          name: 't',
          priority: 2,
          retention: 'parent',
          data: {
            v: 1,
            args: [1],
            input: { from: 'value', value: 2 },
            headers: { tenant: 3 },
            maxRetries: 4,
            timeLimitMs: 5,
            each: 'map',
            done: [6],
            redriven: { generation: 4, changed: [] },
          },
        },
        children: [],
      },
    ]);
    expect(tasks).toEqual(['x.0']);
  });

  it('the root remembers what its generations came to, the last 20', () => {
    let history: NodeEnvelope['history'];
    for (let generation = 0; generation < 25; generation++) {
      const root = node('x', { ...group, ...(history ? { history } : {}) }, [task('x.0'), task('x.1')]);
      const { rerun } = planRedrive(root, generation + 1, { ...ended, generation });
      history = (rerun?.job.data as NodeEnvelope | undefined)?.history;
    }
    expect(history?.map(({ generation }) => generation)).toEqual(
      Array.from({ length: 20 }, (_, at) => at + 5),
    );
    expect(history?.at(-1)).toEqual({ ...ended, generation: 24, rerun: 2 });
  });

  it('counts every job that is put back, and keeps the size that is noted beside a node', () => {
    const root = node('x', group, [node('x.0', group, [task('x.0.0'), task('x.0.1')], { size: 7 })]);
    const { rerun } = planRedrive(root, 1, ended);
    expect(rerun && sizeOfRerun(rerun)).toBe(4);
    expect(rerun?.children[0]?.size).toBe(7);
  });
});

describe('redrivenAfter', () => {
  /** A group in its last generation, after these: a for one that was amended, r for one that was redriven. */
  const root = (ends: string, first = 0): NodeEnvelope => ({
    ...group,
    ...(first + ends.length === 0 ? {} : { redriven: { generation: first + ends.length, changed: [] } }),
    history: Array.from(ends, (end, at) => ({
      ...ended,
      generation: first + at,
      ...(end === 'a' ? { amended: true as const } : {}),
    })),
  });

  it.each<[what: string, root: NodeEnvelope, generation: number, expected: number | undefined]>([
    ['none', root(''), 0, undefined],
    ['none after the last', root('rr'), 2, undefined],
    ['the next one', root('rr'), 0, 1],
    ['an amendment alone', root('a'), 0, undefined],
    ['an amendment, then a redrive', root('ar'), 0, 2],
    ['a redrive, then an amendment', root('ra'), 0, 1],
    ['a redrive, then an amendment, after the first', root('ra'), 1, undefined],
    ['what is not remembered any more', root('ar', 30), 3, 4],
    ['the oldest that is remembered', root('ar', 30), 30, 32],
  ])('%s', (_what, node, generation, expected) => {
    expect(redrivenAfter(node, generation)).toBe(expected);
  });
});
