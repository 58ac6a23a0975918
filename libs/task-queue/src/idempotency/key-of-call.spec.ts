import type { CallKey, CanvasData } from '../canvas/canvas-data.js';
import type { JsonValue } from '../primitives/json.js';
import { readKeyRules } from '../task/idempotency.js';
import { keyOfExecution, keyOfPublication } from './key-of-call.js';

const once = (over: Partial<CallKey> = {}): CallKey => ({ key: 'k', ...readKeyRules({}), ...over });
const task = (args: JsonValue[], options = {}): CanvasData => ({
  kind: 'task',
  task: 'pay',
  args,
  options,
});
const nobody = (): undefined => undefined;

describe('the key of a call', () => {
  it('is one where it is published and where it runs', () => {
    const published = keyOfPublication(task([{ b: 1, a: [2] }], { once: once() }), nobody);
    const executed = keyOfExecution('pay', [{ a: [2], b: 1 }], once(), undefined);
    expect(executed).toMatchObject({ name: published?.name, digest: published?.digest });
  });

  it.each([
    ['another task', keyOfExecution('other', [1], once(), undefined)],
    ['another key', keyOfExecution('pay', [1], once({ key: 'other' }), undefined)],
    ['a scope', keyOfExecution('pay', [1], once({ scope: 'mine' }), undefined)],
    [
      'a scope and a key that read the same together',
      keyOfExecution('pa', [1], once({ key: 'yk' }), undefined),
    ],
  ])('is another one for %s', (_what, other) => {
    expect(other?.name).not.toBe(keyOfExecution('pay', [1], once(), undefined)?.name);
  });

  it.each([
    ['another value', [2]],
    ['another type', ['1']],
    ['one argument more', [1, null]],
    ['another order', [[1]]],
  ])('tells %s apart', (_what, args) => {
    const digest = keyOfExecution('pay', [1], once(), undefined)?.digest;
    expect(keyOfExecution('pay', args, once(), undefined)?.digest).not.toBe(digest);
  });

  it('of a task is not asked for where the caller chose an id, nor for items', () => {
    const declared = () => ({ ...readKeyRules({}), of: () => 'made' });
    expect(keyOfPublication(task([1]), declared)).toMatchObject({ key: 'made' });
    expect(keyOfPublication(task([1], { taskId: 'mine' }), declared)).toBeUndefined();
    expect(keyOfPublication({ ...task([[1]]), each: 'map' } as CanvasData, declared)).toBeUndefined();
    expect(keyOfPublication({ kind: 'group', members: [task([1])] }, declared)).toBeUndefined();
  });

  it('of a canvas goes by its tasks and arguments, not by how they are called', () => {
    const group = (options: object): CanvasData => ({
      kind: 'group',
      members: [task([1], options)],
      options: { once: once() },
    });
    const digest = keyOfPublication(group({}), nobody)?.digest;
    expect(keyOfPublication(group({ priority: 3 }), nobody)?.digest).toBe(digest);
    const other: CanvasData = { kind: 'group', members: [task([2])], options: { once: once() } };
    expect(keyOfPublication(other, nobody)?.digest).not.toBe(digest);
  });
});
