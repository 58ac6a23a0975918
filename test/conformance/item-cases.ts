import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import {
  currentTask,
  Idempotent,
  IgnoreResult,
  type JsonValue,
  NonRetryableError,
  type Outcome,
  Retry,
  Task,
} from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { until, useStage, type World } from './world.js';

const AT_ONCE = { type: 'fixed', delay: 0 } as const;

@Injectable()
export class ItemTasks {
  /** How often an item is yet to fail. */
  readonly failures = new Map<string, number>();

  constructor(private readonly diary: Diary) {}

  @Task({ name: 'items.try' })
  @Retry({ maxRetries: 2, backoff: AT_ONCE })
  try(item: string, times = 0): JsonValue {
    const task = currentTask();
    this.diary.write(`${item} ${task.retries}`);
    const left = this.failures.get(item) ?? times;
    this.failures.set(item, left - 1);
    if (left > 0) throw new RangeError(`no ${item}`);
    return `${item} of ${task.item}`;
  }

  @Task({ name: 'items.odd' })
  odd(what: string): unknown {
    if (what === 'bigint') return 1n;
    if (what === 'ignore') throw new IgnoreResult();
    if (what === 'final') throw new NonRetryableError('never');
    if (what === 'secret') throw Object.assign(new Error('refused'), { password: 'p4ss' });
    return undefined;
  }

  /** Passes its door. */
  @Task({ name: 'items.wait', softTimeLimit: '60s' })
  async wait(door: string): Promise<string> {
    this.diary.write(`waits ${door}`);
    await this.diary.pass(door, currentTask().signal);
    return door;
  }

  @Task({ name: 'items.once' })
  @Idempotent({ key: (id: string) => id, compareArguments: false })
  async once(id: string, door: string | null = null): Promise<JsonValue> {
    const task = currentTask();
    this.diary.write(`once ${id}`);
    if (door !== null) await this.diary.pass(door, task.signal);
    if (id.startsWith('bad')) throw new RangeError(`no ${id}`);
    return { id, key: task.idempotencyKey ?? null };
  }

  @Task({ name: 'items.kept' })
  @Idempotent({ key: (id: string) => id, onFailure: 'keep' })
  @Retry({ maxRetries: 3, backoff: AT_ONCE })
  kept(id: string): never {
    this.diary.write(`kept ${id}`);
    throw new RangeError(`no ${id}`);
  }

  @Task({ name: 'items.compared' })
  @Idempotent({ key: (id: string) => id })
  @Retry({ maxRetries: 3, backoff: AT_ONCE })
  compared(id: string, amount: number): number {
    this.diary.write(`compared ${id} ${amount}`);
    return amount;
  }
}

/** One job for many items: what each of them comes to, and the keys that they have. */
export function itemCases(world: World): void {
  describe('items of one job', () => {
    const it_ = useStage(world, { redact: ['password'] }, [ItemTasks]);
    const stage = () => it_.stage;
    const tasks = () => stage().workflows.tasks(ItemTasks);
    const entries = () => stage().diary.entries;
    const shown = (outcomes: readonly Outcome<unknown>[]) =>
      outcomes.map((outcome) =>
        outcome.status === 'fulfilled'
          ? outcome.value
          : `${outcome.reason.error.name} of ${outcome.reason.request.item}: ${outcome.reason.error.message}`,
      );

    it('settle: each is an outcome of the list, and the one after a failure follows (B105)', async () => {
      const handle = await stage().run(tasks().try.starmap([['a'], ['b', 9], ['c']], { settle: true }));
      const outcomes = (await handle.get()) as unknown as Outcome[];
      expect(shown(outcomes)).toEqual(['a of 0', 'RangeError of 1: no b', 'c of 2']);
      expect(outcomes[1]).toMatchObject({
        reason: { request: { id: handle.id, name: 'items.try', args: ['b', 9], item: 1 }, reason: 'error' },
      });
      expect(await handle.state()).toBe('SUCCESS');
      expect(await stage().workflows.deadLetters.count()).toBe(0);
    });

    it('settle: each has the retries of its task for itself, and none is run again that has ended', async () => {
      stage().app.get(ItemTasks).failures.set('a', 2).set('b', 9).set('c', 1);
      const handle = await stage().run(tasks().try.map(['a', 'b', 'c'], { settle: true }));
      expect(shown((await handle.get()) as unknown as Outcome[])).toEqual([
        'a of 0',
        'RangeError of 1: no b',
        'c of 2',
      ]);
      expect(entries()).toEqual(['a 0', 'a 1', 'a 2', 'b 0', 'b 1', 'b 2', 'c 0', 'c 1']);
    });

    it('settle: whatever ends an item, and redacted as every failure', async () => {
      const handle = await tasks()
        .odd.map(['bigint', 'ignore', 'final', 'secret', 'none'], { settle: true })
        .delay();
      const outcomes = await handle.get();
      expect(shown(outcomes)).toEqual([
        expect.stringMatching(/^UnserializableResultError of 0: .*result\[0\]/),
        null,
        'NonRetryableError of 2: never',
        'Error of 3: refused',
        null,
      ]);
      expect(JSON.stringify(outcomes)).not.toContain('p4ss');
    });

    it('settle: over the list that comes in, in chunks, and through JSON', async () => {
      const { workflows } = stage();
      const chain = workflows.chain(
        workflows.signature('echo', [['a', 'b']]) as never,
        tasks().try.map(undefined, { settle: true }) as never,
      );
      expect(await (await stage().run(chain)).get()).toMatchObject([
        { value: 'a of 0' },
        { value: 'b of 1' },
      ]);
      const chunks = tasks().try.chunks([['d'], ['e', 9], ['f']], 2, { settle: true });
      const copy = workflows.fromData(JSON.parse(JSON.stringify(chunks)) as never);
      const lists = (await (await stage().run(copy)).get()) as unknown as Outcome[][];
      expect(lists.map(shown)).toEqual([['d of 0', 'RangeError of 1: no e'], ['f of 0']]);
    });

    it('settle: what ends the job as a whole is no outcome of an item', async () => {
      const revoked = await tasks().wait.map(['in', 'out'], { settle: true }).delay();
      await until(() => stage().diary.count('waits in') === 1, 'the first one runs');
      await revoked.revoke({ terminate: true });
      await expect(revoked.get()).rejects.toMatchObject({ code: 'TASK_REVOKED' });
      const limited = await tasks()
        .wait.map(['in', 'out'], { settle: true })
        .set({ softTimeLimit: 50 })
        .delay();
      await expect(limited.get()).rejects.toMatchObject({ code: 'SOFT_TIME_LIMIT_EXCEEDED' });
      const lists = stage().workflows.fromData({ ...tasks().try.map(undefined, { settle: true }).toJSON() });
      const noList = stage().workflows.chain(stage().call('echo', 1) as never, lists as never);
      expect(await (await stage().run(noList)).state()).toBe('FAILURE');
    });

    it('settle: is refused where there are no items, and options that are none', () => {
      const data = { ...tasks().try.s('a').toJSON(), settle: true };
      expect(() => stage().workflows.fromData(data)).toThrow(
        'settle is for the items of a map, starmap or chunk',
      );
      expect(() => tasks().try.map(['a'], { settel: true } as never)).toThrow('known is settle');
      expect(() => tasks().try.map(['a'], { settle: 1 } as never)).toThrow('expected true or false');
    });

    it('keys: items of one key have one effect, among themselves and with calls', async () => {
      const first = await stage().run(tasks().once.map(['x', 'y', 'x']));
      const [x, y, again] = (await first.get()) as unknown as JsonValue[];
      expect([x, y]).toEqual([
        { id: 'x', key: 'x' },
        { id: 'y', key: 'y' },
      ]);
      expect(again).toEqual(x);
      const call = await stage().run(tasks().once.s('y'));
      expect(await call.get()).toEqual(y);
      expect(call.id).not.toBe(first.id);
      const chunks = await stage().run(tasks().once.chunks([['y'], ['z']], 1));
      expect(await chunks.get()).toMatchObject([[y], [{ id: 'z' }]]);
      await stage().run(tasks().once.s('w'));
      await stage().run(tasks().once.map(['w']));
      expect(entries()).toEqual(['once x', 'once y', 'once z', 'once w']);
    });

    it('keys: an item waits for the call that has its key, without a slot and without beginning again', async () => {
      const call = await tasks().once.delay('held', 'door');
      await until(() => stage().diary.count('once held') === 1, 'the call runs');
      const map = await tasks().once.map(['before', 'held', 'after']).delay();
      await until(() => stage().diary.count('once before') === 1, 'the first item runs');
      await pause(50); // long enough to be asked for, and to be given back
      stage().diary.open('door');
      expect((await map.get({ timeout: '30s' }))[1]).toEqual(await call.get());
      expect(entries()).toEqual(['once held', 'once before', 'once after']);
    });

    it('keys: a call waits for the item that has its key, and takes over when that has failed', async () => {
      const map = await tasks()
        .once.starmap([['held', 'door'], ['bad']])
        .delay();
      await until(() => stage().diary.count('once held') === 1, 'the item runs');
      const call = await tasks().once.delay('held');
      await pause(50);
      stage().diary.open('door');
      expect(await call.get({ timeout: '30s' })).toEqual({ id: 'held', key: 'held' });
      await expect(map.get()).rejects.toThrow('no bad');
      await expect((await tasks().once.delay('bad')).get()).rejects.toThrow('no bad');
      const settled = await tasks().once.map(['bad', 'bad'], { settle: true }).delay();
      expect(shown(await settled.get())).toEqual(['RangeError of 0: no bad', 'RangeError of 1: no bad']);
      await expect((await tasks().once.delay('bad')).get()).rejects.toThrow('no bad');
      expect(entries().filter((entry) => entry === 'once held')).toHaveLength(1);
      expect(entries().filter((entry) => entry === 'once bad')).toHaveLength(5);
    });

    it('keys: a failure that is kept, and other arguments, are errors of the item and not tried again', async () => {
      await stage().run(tasks().kept.map(['k']));
      const kept = await tasks().kept.map(['k'], { settle: true }).delay();
      expect(shown(await kept.get())).toEqual(['NonRetryableError of 0: no k']);
      expect(entries()).toHaveLength(4);
      const compared = await tasks()
        .compared.starmap(
          [
            ['c', 1],
            ['c', 2],
          ],
          { settle: true },
        )
        .delay();
      expect(shown(await compared.get())).toEqual([
        1,
        expect.stringMatching(/^IdempotencyConflictError of 1/),
      ]);
      expect(entries().filter((entry) => entry.startsWith('compared'))).toEqual(['compared c 1']);
    });

    it('keys: hold for members that are read from a source', async () => {
      const { workflows } = stage();
      const source = async function* () {
        for (const id of ['s', 't', 's']) yield tasks().once.s(id);
        yield stage().workflows.signature('note', ['u']).set({ idempotencyKey: 'mine' });
        yield stage().workflows.signature('note', ['u']).set({ idempotencyKey: 'mine' });
      };
      const handle = await workflows.group(source as never).applyAsync([] as never);
      const values = (await handle.get({ timeout: '30s' })) as unknown as JsonValue[];
      expect(values[2]).toEqual(values[0]);
      expect(values.slice(3)).toEqual(['u', 'u']);
      expect([...entries()].sort()).toEqual(['once s', 'once t', 'u']);
    });
  });
}
