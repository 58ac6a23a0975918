import type { CanvasData } from '../canvas/canvas-data.js';
import { addBody, advanceNode, type ChildEnd, type NodeStep, type NodeView } from './advance-node.js';
import type { ChordNode, NodeEnvelope } from './envelope.js';

const step = (task: string): CanvasData => ({ kind: 'task', task, args: [] });
const task: NodeEnvelope = { v: 1, node: 'task' };
const chain: NodeEnvelope = { v: 1, node: 'chain', size: 3, rest: [step('b'), step('c')] };
const group: NodeEnvelope = { v: 1, node: 'group', size: 3 };
const chord = (recovery = 'ErrbackOnly', size = 3): ChordNode => ({
  v: 1,
  node: 'chord',
  size,
  body: step('body'),
  recovery,
});

const at = (stage: number, child: ChildEnd): NodeView => ({ stage, child, succeeded: 0, failed: 0 });
const members = (succeeded: number, failed: number, stage = 0): NodeView => ({
  stage,
  child: 'missing',
  succeeded,
  failed,
});
const settle = (child: number | 'body', end: ChildEnd): NodeStep => ({ do: 'settle-child', child, end });

describe('advanceNode', () => {
  it.each<[what: string, node: NodeEnvelope, view: NodeView, next: NodeStep]>([
    ['a task that returned', task, at(0, 'succeeded'), settle(0, 'succeeded')],
    ['a task that failed', task, at(0, 'failed'), settle(0, 'failed')],
    ['a task that was removed', task, at(0, 'missing'), settle(0, 'missing')],

    [
      'a chain after its first step',
      chain,
      at(0, 'succeeded'),
      { do: 'add', child: 1, canvas: step('b'), input: { of: 'child', child: 0 } },
    ],
    [
      'a chain after its second step',
      chain,
      at(1, 'succeeded'),
      { do: 'add', child: 2, canvas: step('c'), input: { of: 'child', child: 1 } },
    ],
    ['a chain after its last step', chain, at(2, 'succeeded'), settle(2, 'succeeded')],
    ['a chain whose first step failed', chain, at(0, 'failed'), settle(0, 'failed')],
    ['a chain whose second step failed', chain, at(1, 'failed'), settle(1, 'failed')],
    ['a chain whose step was removed', chain, at(1, 'missing'), settle(1, 'missing')],

    ['a group whose members all returned', group, members(3, 0), { do: 'settle-list' }],
    ['a group with a failed member', group, members(2, 1), { do: 'settle-members-failed' }],
    ['a group whose members all failed', group, members(0, 3), { do: 'settle-members-failed' }],
    ['a group with a removed member (H1)', group, members(2, 0), { do: 'settle-members-failed' }],
    ['an empty group', { ...group, size: 0 }, members(0, 0), { do: 'settle-list' }],

    ['a chord whose header returned', chord(), members(3, 0), addBody(chord(), 'values')],
    ['a chord without a header', chord('ErrbackOnly', 0), members(0, 0), addBody(chord(), 'values')],
    ['a chord with a failed member', chord(), members(2, 1), { do: 'recover' }],
    ['a chord with a removed member (H1)', chord(), members(2, 0), { do: 'recover' }],
    ['a chord whose header failed', chord('CallbackWithSuccesses'), members(0, 3), { do: 'recover' }],
    [
      'a chord of successes whose header returned',
      chord('CallbackWithSuccesses'),
      members(3, 0),
      addBody(chord(), 'values'),
    ],
    [
      'a chord of outcomes whose header returned',
      chord('CallbackWithOutcomes'),
      members(3, 0),
      addBody(chord(), 'outcomes'),
    ],
    [
      'a chord of outcomes with a failed member',
      chord('CallbackWithOutcomes'),
      members(2, 1),
      { do: 'recover' },
    ],
    [
      'a chord whose body returned',
      chord(),
      { ...members(4, 0, 1), child: 'succeeded' },
      settle('body', 'succeeded'),
    ],
    [
      'a chord whose body failed',
      chord(),
      { ...members(3, 1, 1), child: 'failed' },
      settle('body', 'failed'),
    ],
    [
      'a recovered chord whose body returned',
      chord(),
      { ...members(2, 2, 1), child: 'succeeded' },
      settle('body', 'succeeded'),
    ],
    ['a chord whose body was removed', chord(), members(3, 0, 1), settle('body', 'missing')],
  ])('%s', (_what, node, view, next) => {
    expect(advanceNode(node, view)).toEqual(next);
  });
});
