import { childId, newCanvasId, parentOf, positionOf, releasedId, rootOf, shardOf } from './ids.js';

describe('ids', () => {
  it.each<[id: string, root: string, parent: string | undefined, position: string]>([
    ['0~abc', '0~abc', undefined, ''],
    ['order-7', 'order-7', undefined, ''],
    ['0~abc.3', '0~abc', '0~abc', '3'],
    ['0~abc.body', '0~abc', '0~abc', 'body'],
    ['0~abc.sentinel', '0~abc', '0~abc', 'sentinel'],
    ['0~abc.3.0.body.12', '0~abc', '0~abc.3.0.body', '3.0.body.12'],
    ['0~abc.link.0', '0~abc.link.0', undefined, ''],
    ['0~abc.1.errback.0', '0~abc.1.errback.0', undefined, ''],
    ['0~abc.1.errback.0.body', '0~abc.1.errback.0', '0~abc.1.errback.0', 'body'],
    ['0~abc.errback.0.2.link.1', '0~abc.errback.0.2.link.1', undefined, ''],
    ['0~abc.link.10.3', '0~abc.link.10', '0~abc.link.10', '3'],
    ['0~abc.2.hook.0', '0~abc.2.hook.0', undefined, ''],
  ])('%s belongs to the canvas %s, hangs on %s, at %j', (id, root, parent, position) => {
    expect([rootOf(id), parentOf(id), positionOf(id)]).toEqual([root, parent, position]);
  });

  it('of children and of what a node releases are read back', () => {
    const node = childId(childId('0~abc', 2), 'body');

    expect(node).toBe('0~abc.2.body');
    expect(parentOf(childId(node, 7))).toBe(node);
    for (const kind of ['link', 'errback', 'hook'] as const) {
      const released = releasedId(node, kind, 1);
      expect([released, rootOf(released), parentOf(released)]).toEqual([
        `${node}.${kind}.1`,
        released,
        undefined,
      ]);
    }
  });

  it('are made without digits only, dots or colons, and never twice', () => {
    const made = Array.from({ length: 5_000 }, () => newCanvasId(1));

    expect(new Set(made).size).toBe(made.length);
    for (const id of made) expect(id).toMatch(/^0~[\w-]{20}$/);
  });
});

describe('shards', () => {
  it('one shard holds everything', () => {
    expect([shardOf('5~abc', 1), shardOf('order-7', 1)]).toEqual([0, 0]);
  });

  it('a made id says its shard, which all of its parts and callbacks share', () => {
    for (const random of [0, 0.3, 0.999]) {
      const id = newCanvasId(40, () => random);
      const shard = Math.floor(random * 40);
      const parts = [
        id,
        childId(id, 3),
        childId(id, 'body'),
        releasedId(id, 'link', 0),
        `${id}.1.errback.0.2`,
      ];
      expect(parts.map((part) => shardOf(part, 40))).toEqual(parts.map(() => shard));
    }
  });

  it('an id that a caller chose is spread by its text, with all of its parts', () => {
    const ids = Array.from({ length: 2_000 }, (_, index) => `order-${index}`);
    const counts = new Array<number>(8).fill(0);
    for (const id of ids) {
      const shard = shardOf(id, 8);
      counts[shard] = (counts[shard] ?? 0) + 1;
      expect([shardOf(`${id}.3.body`, 8), shardOf(`${id}.errback.0`, 8)]).toEqual([shard, shard]);
    }
    for (const count of counts) expect(count).toBeGreaterThan(150);
  });

  it('an id from a wider layout, or one that only looks like ours, still has a shard', () => {
    expect(shardOf('z~abc', 4)).toBeLessThan(4);
    expect(shardOf('?~abc', 4)).toBeLessThan(4);
    expect(shardOf('z~abc.1', 4)).toBe(shardOf('z~abc', 4));
  });
});
