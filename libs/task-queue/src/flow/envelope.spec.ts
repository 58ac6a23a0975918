import { UndecodablePayloadError } from '../errors/task.errors.js';
import { decodeNode, decodeTask } from './decode-envelope.js';
import { hasChild, type NodeEnvelope } from './envelope.js';

const body = { kind: 'task', task: 'x', args: [] } as const;

describe('decodeTask', () => {
  it.each([
    ['a task', { v: 1, args: [1, { a: null }] }],
    [
      'a task with everything',
      { v: 1, args: [], input: { from: 'value', value: 1 }, headers: {}, maxRetries: 0 },
    ],
    ['a hook', { v: 1, hook: 'failure', task: 'x', taskId: 'id' }],
    ['a hook with arguments', { v: 1, hook: 'success', task: 'x', taskId: 'id', args: [1] }],
  ])('reads %s as it is', (_what, data) => {
    expect(decodeTask(data)).toBe(data);
  });

  it.each<[what: string, data: unknown, shown: string]>([
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a number', 7, 'number'],
    ['a text', 'hello', 'a text of 5 characters'],
    ['a list', [1], 'a list of 1'],
    ['an empty object', {}, 'an object with no keys'],
    ['an object of somebody else', { userId: 7 }, '"userId"'],
    ['another version', { v: 2, args: [] }, '"v", "args"'],
    ['arguments that are no list', { v: 1, args: 'x' }, '"args"'],
    ['a hook without a task', { v: 1, hook: 'failure' }, '"hook"'],
    ['a node', { v: 1, node: 'group', size: 0 }, '"node"'],
  ])('refuses %s, and shows what it is', (_what, data, shown) => {
    expect(() => decodeTask(data)).toThrow(UndecodablePayloadError);
    expect(() => decodeTask(data)).toThrow(shown);
  });

  it('shows no values, of which one may be a secret, and no more than a few names', () => {
    const secret = { v: 2, args: [{ password: 'hunter2' }], ['k'.repeat(10_000)]: 1 };
    expect(() => decodeTask(secret)).toThrow(/^(?!.*hunter2)[^]{0,400}$/);
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`key${at}`, at]));
    expect(() => decodeTask(many)).toThrow(/"key7" …\. It was/);
  });
});

describe('decodeNode', () => {
  it.each([
    { v: 1, node: 'task' },
    { v: 1, node: 'chain', size: 1, rest: [] },
    { v: 1, node: 'group', size: 0 },
    { v: 1, node: 'chord', size: 0, body, recovery: 'ErrbackOnly' },
    { v: 1, node: 'sentinel' },
    { v: 1, node: 'sentinel', generation: 2 },
  ])('reads $node', (data) => {
    expect(decodeNode(data)).toBe(data);
  });

  it.each([
    undefined,
    null,
    'group',
    [],
    {},
    { v: 1 },
    { v: 1, node: 'loop' },
    { v: 2, node: 'group' },
    { v: 1, args: [] },
  ])('refuses %j', (data) => {
    expect(() => decodeNode(data)).toThrow(UndecodablePayloadError);
  });
});

describe('hasChild', () => {
  const nodes: Record<string, NodeEnvelope> = {
    task: { v: 1, node: 'task' },
    chain: { v: 1, node: 'chain', size: 2, rest: [body] },
    group: { v: 1, node: 'group', size: 3 },
    empty: { v: 1, node: 'group', size: 0 },
    chord: { v: 1, node: 'chord', size: 2, body, recovery: 'ErrbackOnly' },
  };

  it.each([
    ['task', ['0'], ['1', 'body']],
    ['chain', ['0', '1'], ['2', 'body']],
    ['group', ['0', '2'], ['3', 'body', '-1', '1.5', '', 'x']],
    ['empty', [], ['0', 'body']],
    ['chord', ['0', '1', 'body'], ['2', 'sentinel']],
  ])('%s has %j and not %j', (kind, there, absent) => {
    const node = nodes[kind] as NodeEnvelope;
    expect(there.filter((name) => !hasChild(node, `id.${name}`))).toEqual([]);
    expect(absent.filter((name) => hasChild(node, `id.${name}`))).toEqual([]);
  });
});
