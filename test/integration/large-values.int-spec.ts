import { Injectable } from '@nestjs/common';
import { Task } from 'nestjs-task-queue';
import { startApp, type StartedApp } from '../support/canvas-runner.js';

/**
 * What large values cost Redis in nested canvases. LARGE_MEMBERS says how many members there are; the figures are printed
 * where it is given.
 */
const MEMBERS = Number(process.env['LARGE_MEMBERS'] ?? 300);
const VALUE = 'v'.repeat(10_000);
const BYTES = MEMBERS * VALUE.length;

@Injectable()
class LargeTasks {
  @Task()
  large(): string {
    return VALUE;
  }

  @Task()
  count(lists: string[][][]): number {
    return lists.flat(3).length;
  }
}

describe('large values of nested groups', () => {
  let app: StartedApp;
  afterEach(() => app.close());

  async function cost(inlineCharacters: number) {
    const queues = { default: { concurrency: 50 } };
    app = await startApp([LargeTasks], { queues, publishTimeout: '60s', limits: { inlineCharacters } });
    const { workflows } = app;
    const { large, count } = workflows.tasks(LargeTasks);
    const members = Array.from({ length: MEMBERS }, () => large.s());
    const before = await infoOf(app);
    const nested = workflows.group([workflows.group([workflows.group(members)])]);
    const handle = await workflows.chain(nested, count.s()).delay();
    expect(await handle.get({ timeout: '5m' })).toBe(MEMBERS);
    const after = await infoOf(app);
    await handle.forget();
    const left = (await app.keys()).filter(
      (key) => /^(_canvas|_record|default):/.test(key) && key.includes(handle.id),
    );
    return {
      memory: (after.memory - before.memory) / BYTES,
      written: (after.written - before.written) / BYTES,
      left,
    };
  }

  it('are written and kept once, whatever the depth, and go with their canvas', async () => {
    const once = await cost(16_384);
    await app.close();
    const copied = await cost(Infinity);
    if (process.env['LARGE_MEMBERS'] !== undefined)
      console.log(JSON.stringify({ MEMBERS, BYTES, once, copied }));
    expect(once.written).toBeLessThan(2);
    // Three groups, of which each would have a copy for the one above it.
    expect(copied.written - once.written).toBeGreaterThan(2.5);
    expect(copied.memory - once.memory).toBeGreaterThan(1.5);
    expect(once.left).toEqual([]);
  }, 600_000);
});

async function infoOf({ redis }: StartedApp): Promise<{ memory: number; written: number }> {
  const info = await redis.info();
  const read = (field: string): number => Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1]);
  return { memory: read('used_memory'), written: read('total_net_input_bytes') };
}
