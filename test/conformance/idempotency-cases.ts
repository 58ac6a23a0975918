import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { currentTask, Idempotent, type JsonValue, Task, WorkflowService } from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { until, useStage, type World } from './world.js';

interface Order {
  readonly id: string;
  readonly amount: number;
}

@Injectable()
export class KeyedTasks {
  constructor(private readonly diary: Diary) {}

  @Task({ name: 'pay' })
  @Idempotent({ key: (order: Order) => `order-${order.id}` })
  async pay(order: Order, door: string | null = null): Promise<JsonValue> {
    const task = currentTask();
    this.diary.write(`pay ${order.id}`);
    if (door !== null) await this.diary.pass(door, task.signal);
    if (order.amount < 0) throw new RangeError('refused');
    return { paid: order.amount, by: task.id, key: task.idempotencyKey ?? null };
  }

  @Task({ name: 'keepFailure' })
  @Idempotent({ key: (id: string) => id, onFailure: 'keep', compareArguments: false })
  keepFailure(id: string, note: string): never {
    this.diary.write(`${id} ${note}`);
    throw new RangeError(`failed with ${note}`);
  }

  @Task({ name: 'shortLived' })
  @Idempotent({ key: (id: string) => id, ttl: 60 })
  shortLived(id: string): string {
    this.diary.write(`short ${id}`);
    return id;
  }

  @Task({ name: 'hasty' })
  @Idempotent({ key: (id: string) => id, wait: 0 })
  async hasty(id: string): Promise<string> {
    this.diary.write(`hasty ${id}`);
    await this.diary.pass(id, currentTask().signal);
    return id;
  }

  @Task({ name: 'keyOf' })
  keyOf(): string | null {
    return currentTask().idempotencyKey ?? null;
  }

  @Task({ name: 'badKey' })
  @Idempotent({ key: (id: unknown) => id as string })
  badKey(id: JsonValue): void {
    this.diary.write(`badKey ${JSON.stringify(id)}`);
  }
}

/** One effect for all calls with one key. */
export function idempotencyCases(world: World): void {
  describe('an idempotency key', () => {
    const it_ = useStage(world, {}, [KeyedTasks]);
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const tasks = () => stage().workflows.tasks(KeyedTasks);
    const entries = () => stage().diary.entries;

    describe('of a call', () => {
      it('a second call gets the handle of the first', async () => {
        const options = { idempotencyKey: 'a' };
        const handles = await Promise.all(
          Array.from({ length: 5 }, () => stage().publish(call('note', 'once'), options)),
        );
        const later = await stage().run(call('note', 'once'), options);
        expect(new Set([...handles, later].map(({ id }) => id)).size).toBe(1);
        expect(await later.get()).toBe('once');
        expect(entries()).toEqual(['once']);
      });

      it('holds within the task, or within the scope that it names', async () => {
        await stage().run(call('note', 1), { idempotencyKey: 'b' });
        await stage().run(call('echo', 1), { idempotencyKey: 'b' });
        await stage().run(call('note', 2), { idempotencyKey: { key: 'b', scope: 'mine' } });
        await stage().run(call('note', 2), { idempotencyKey: { key: 'b', scope: 'mine' } });
        const other = stage().run(call('echo', 3), { idempotencyKey: { key: 'b', scope: 'mine' } });
        await expect(other).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
        expect(entries()).toEqual(['1', '2']);
      });

      it('other arguments are refused, unless they may differ', async () => {
        const first = await stage().run(call('note', { a: 1, b: [2] }), { idempotencyKey: 'c' });
        await stage().run(call('note', { b: [2], a: 1 }), { idempotencyKey: 'c' });
        await expect(stage().run(call('note', { a: 2 }), { idempotencyKey: 'c' })).rejects.toMatchObject({
          code: 'IDEMPOTENCY_CONFLICT',
          idempotencyKey: 'c',
          taskId: first.id,
        });
        const same = await stage().run(call('note', { a: 2 }), {
          idempotencyKey: { key: 'c', compareArguments: false },
        });
        expect(same.id).toBe(first.id);
        expect(entries()).toHaveLength(1);
      });

      it.each([
        ['released', 'release', 2],
        ['kept', 'keep', 1],
      ] as const)('is %s when the call has failed', async (_what, onFailure, runs) => {
        const options = { idempotencyKey: { key: 'd', onFailure } };
        const first = await stage().run(call('fail', 1), options);
        const second = await stage().run(call('fail', 1), options);
        expect(second.id === first.id).toBe(onFailure === 'keep');
        expect(entries()).toHaveLength(runs);
        // What the first one came to does not change.
        expect(await first.failure()).toMatchObject({ request: { id: first.id } });
      });

      it('is free again after its time', async () => {
        const options = { idempotencyKey: { key: 'e', ttl: 60 } };
        const first = await stage().run(call('note', 'x'), options);
        const beginMs = Date.now();
        await until(() => Date.now() > beginMs + 80, 'its time is over');
        const second = await stage().run(call('note', 'x'), options);
        expect(second.id).not.toBe(first.id);
        expect(entries()).toEqual(['x', 'x']);
      });

      it('stays with a call that has not ended', async () => {
        const options = { idempotencyKey: { key: 'f', ttl: 1 }, queue: 'narrow' };
        const first = await stage().publish(call('held', 'door'), options);
        await until(() => stage().diary.count('held door') === 1, 'it runs');
        expect((await stage().publish(call('held', 'door'), options)).id).toBe(first.id);
        stage().diary.open('door');
        await first.get();
        await stage().app.quiet();
        expect(entries()).toEqual(['held door']);
      });

      it('with callbacks is that of the call as a whole', async () => {
        const signature = (): object =>
          (
            call('pay', { id: '1', amount: 5 }) as unknown as {
              set(options: object): { link(to: object): object };
            }
          )
            .set({ idempotencyKey: 'g' })
            .link(call('keep', 'linked'));
        const first = await stage().run(signature());
        const second = await stage().run(signature());
        expect(second.id).toBe(first.id);
        expect(await first.get()).toMatchObject({ paid: 5 });
        expect(entries()).toEqual(['pay 1', 'linked']);
      });

      it.each([
        ['chain', (w: WorkflowService) => w.chain(w.signature('note', ['s'], { immutable: true }) as never)],
        [
          'group',
          (w: WorkflowService) => w.group([w.signature('note', ['s']), w.signature('note', ['s'])] as never),
        ],
        [
          'chord',
          (w: WorkflowService) =>
            w.chord([w.signature('note', ['s'])] as never, w.signature('note') as never),
        ],
      ])('of a %s is that of the whole', async (_kind, make) => {
        const canvas = () => make(stage().workflows);
        const first = await stage().run(canvas(), { idempotencyKey: 'h' });
        const count = entries().length;
        expect((await stage().run(canvas(), { idempotencyKey: 'h' })).id).toBe(first.id);
        expect(entries()).toHaveLength(count);
      });

      it('of a part of a canvas holds where it runs', async () => {
        const keyed = (): object =>
          (call('note', 'part') as unknown as { set(options: object): object }).set({ idempotencyKey: 'i' });
        const group = stage().workflows.group([keyed(), keyed(), call('note', 'free')] as never);
        const handle = await stage().run(group);
        expect(await handle.get()).toEqual(['part', 'part', 'free']);
        expect([...entries()].sort()).toEqual(['free', 'part']);
        expect((await stage().run(keyed())).id).not.toBe(handle.id);
        expect(stage().diary.count('part')).toBe(1);
      });

      it.each([
        ['an empty key', { idempotencyKey: '' }],
        ['a key that is none', { idempotencyKey: 5 }],
        ['an option that is none', { idempotencyKey: { key: 'k', for: '1d' } }],
        ['a word that is none', { idempotencyKey: { key: 'k', onFailure: 'forget' } }],
        ['no time at all', { idempotencyKey: { key: 'k', ttl: 0 } }],
        ['an id beside it', { idempotencyKey: 'k', taskId: 'mine' }],
      ])('refuses %s', async (_what, options) => {
        await expect(stage().publish(call('note', 1), options)).rejects.toMatchObject({
          code: 'INVALID_CANVAS',
        });
        expect(entries()).toEqual([]);
      });
    });

    describe('of a task', () => {
      it('is made of the arguments where it is published', async () => {
        const order = { id: '7', amount: 5 };
        const [first, second] = await Promise.all([tasks().pay.delay(order), tasks().pay.delay(order)]);
        expect(second.id).toBe(first.id);
        expect(await second.get()).toEqual({ paid: 5, by: first.id, key: 'order-7' });
        await expect(tasks().pay.delay({ id: '7', amount: 6 })).rejects.toMatchObject({
          code: 'IDEMPOTENCY_CONFLICT',
        });
        expect(entries()).toEqual(['pay 7']);
      });

      it('cannot be got around by a key of the call', async () => {
        const order = { id: '12', amount: 4 };
        const first = await stage().run(call('pay', order));
        const second = await stage().run(call('pay', order), { idempotencyKey: 'mine' });
        expect(second.id).not.toBe(first.id);
        expect(await second.get()).toEqual(await first.get());
        expect(entries()).toEqual(['pay 12']);
      });

      it('is in the context; of a task that makes none, that of the call', async () => {
        expect(await (await stage().run(call('pay', { id: '13', amount: 4 }))).get()).toMatchObject({
          key: 'order-13',
        });
        expect(await (await stage().run(call('keyOf'), { idempotencyKey: 'given' })).get()).toBe('given');
        expect(await (await stage().run(call('keyOf'))).get()).toBeNull();
      });

      it('holds in canvases and chains, where the arguments are known late', async () => {
        const { workflows } = stage();
        const order = { id: '8', amount: 1 };
        const group = workflows.group([call('pay', order), call('pay', order), call('pay', order)] as never);
        const values = (await (await stage().run(group)).get()) as unknown as { by: string }[];
        expect(new Set(values.map(({ by }) => by)).size).toBe(1);
        const chain = workflows.chain(
          workflows.signature('echo', [order]) as never,
          workflows.signature('pay') as never,
        );
        expect(await (await stage().run(chain)).get()).toEqual(values[0]);
        expect(entries()).toEqual(['pay 8']);
      });

      it('a second one waits for the first, and ends with its value', async () => {
        const order = { id: '9', amount: 2 };
        const first = await stage().publish(stage().workflows.group([call('pay', order, 'door')] as never));
        await until(() => stage().diary.count('pay 9') === 1, 'the first one runs');
        const second = await stage().publish(stage().workflows.group([call('pay', order, 'door')] as never));
        await pause(50); // long enough to be asked for, and to be given back
        stage().diary.open('door');
        expect(await second.get({ timeout: '30s' })).toEqual(await first.get());
        expect(entries()).toEqual(['pay 9']);
      });

      it('a second one takes over when the first has failed', async () => {
        const refused = await stage().run(call('pay', { id: '10', amount: -1 }));
        expect(await refused.state()).toBe('FAILURE');
        const second = await stage().run(
          stage().workflows.group([call('pay', { id: '10', amount: 3 })] as never),
        );
        expect(await second.get()).toMatchObject([{ paid: 3 }]);
        expect(entries()).toEqual(['pay 10', 'pay 10']);
      });

      it('a failure that is kept is that of all', async () => {
        const first = await stage().run(call('keepFailure', 'k', 'one'));
        const group = await stage().run(stage().workflows.group([call('keepFailure', 'k', 'two')] as never));
        expect(entries()).toEqual(['k one']);
        await expect(group.get()).rejects.toThrow(/failed with one/);
        expect((await tasks().keepFailure.delay('k', 'three')).id).toBe(first.id);
      });

      it('runs again after its time', async () => {
        const group = () => stage().run(stage().workflows.group([call('shortLived', 's')] as never));
        await group();
        const beginMs = Date.now();
        await until(() => Date.now() > beginMs + 80, 'its time is over');
        await group();
        expect(entries()).toEqual(['short s', 'short s']);
      });

      it('gives up waiting when it has waited long enough', async () => {
        const first = await stage().publish(stage().workflows.group([call('hasty', 'h')] as never));
        await until(() => stage().diary.count('hasty h') === 1, 'the first one runs');
        const second = await stage().publish(stage().workflows.group([call('hasty', 'h')] as never));
        await expect(second.get({ timeout: '30s' })).rejects.toMatchObject({
          failures: [{ failure: { error: { code: 'IDEMPOTENCY_TIMEOUT', data: { idempotencyKey: 'h' } } } }],
        });
        stage().diary.open('h');
        expect(await first.get()).toEqual(['h']);
      });

      it('that is none is an error of the call, there and here', async () => {
        await expect(tasks().badKey.delay(5)).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
        const group = await stage().run(stage().workflows.group([call('badKey', 5)] as never));
        await expect(group.get()).rejects.toMatchObject({
          failures: [{ failure: { error: { code: 'INVALID_OPTIONS' } } }],
        });
        expect(entries()).toEqual([]);
      });

      it('a task that was revoked before it began leaves its key', async () => {
        const order = { id: '11', amount: 1 };
        const first = await tasks().pay.applyAsync([order], { countdown: '1h' });
        await first.revoke();
        const second = await tasks().pay.delay(order);
        expect(second.id).not.toBe(first.id);
        expect(await second.get()).toMatchObject({ paid: 1 });
      });
    });
  });
}
