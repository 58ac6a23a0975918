/** What the torture suite finds of canvases whose time is over. */
import { Expiry } from '../../torture/expiry.js';
import { leftOf } from '../../torture/left-keys.js';
import { uniquePrefix, useApps } from '../support/app-fixture.js';

const { redis } = useApps();

/** So short that what stays is given up at once. */
const SHORT = { withinMs: 300, stillMs: 300, mostMs: 60_000 };
const ground = { redis: () => redis, areAble: async () => true };

let prefix: string;
let nr = 0;
const freshId = (): string => `case-${process.pid}${++nr}-x`;

beforeEach(() => {
  prefix = `{${uniquePrefix('left')}:0}`;
});

afterEach(async () => {
  const keys = await redis.keys(`${prefix}:*`);
  if (keys.length > 0) await redis.del(...keys);
});

describe('what is left of a canvas', () => {
  it('is every key with its name, and every list, set and hash that names it', async () => {
    const [id, other] = [freshId(), freshId()];
    await redis.hset(`${prefix}:_canvas:${id}.0:failed`, 'a', 1);
    await redis.set(`${prefix}:default:${id}:lock`, 'token');
    await redis.zadd(`${prefix}:_expiry`, 1, id, 2, other);
    await redis.sadd(`${prefix}:default:stalled`, `${id}.1`);
    await redis.rpush(`${prefix}:default:wait`, `${id}.body`);
    await redis.hset(`${prefix}:_workers:about`, `${prefix}:default:${id}`, 1);
    const found = await leftOf(redis, new Set([id]));
    expect([...found.keys()]).toEqual([id]);
    expect([...(found.get(id) ?? [])].sort()).toEqual(
      [
        `${prefix}:_canvas:${id}.0:failed`,
        `${prefix}:default:${id}:lock`,
        `${prefix}:_expiry has ${id}`,
        `${prefix}:default:stalled has ${id}.1`,
        `${prefix}:default:wait has ${id}.body`,
        `${prefix}:_workers:about has ${prefix}:default:${id}`,
      ].sort(),
    );
  });

  it('is no letter about it, which has bounds of its own, and nothing of one whose name is longer', async () => {
    const id = freshId();
    await redis.zadd(`${prefix}:_dead`, 1, id);
    await redis.hset(`${prefix}:_dead:letters`, id, '{}');
    await redis.set(`${prefix}:default:${id.replace('-x', '1-x')}`, 1);
    expect(await leftOf(redis, new Set([id]))).toEqual(new Map());
  });
});

describe('a canvas whose time is over', () => {
  it('is gone when no key of it is left', async () => {
    const expiry = new Expiry(ground, 0, SHORT);
    expiry.over(freshId(), 'case');
    expect(await expiry.end()).toEqual({ gone: 1, left: [] });
    expect(await expiry.end()).toEqual({ gone: 0, left: [] });
  });

  it('is waited for while its keys go, and is then gone', async () => {
    const id = freshId();
    await redis.set(`${prefix}:default:${id}`, 1, 'PX', 400);
    const expiry = new Expiry(ground, 0);
    expiry.over(id, 'case');
    expect(await expiry.end()).toEqual({ gone: 1, left: [] });
  });

  it('is named with its keys where they stay', async () => {
    const id = freshId();
    const expiry = new Expiry(ground, 0, SHORT);
    await redis.set(`${prefix}:default:${id}`, 1);
    expiry.over(id, 'join/worker/kill/after/3');
    expiry.over(freshId(), 'another');
    expect(await expiry.end()).toMatchObject({
      gone: 1,
      left: [`${id} (join/worker/kill/after/3): ${prefix}:default:${id}`],
    });
  });
});
