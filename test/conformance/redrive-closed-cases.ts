import { Injectable } from '@nestjs/common';
import {
  CallbackWithSuccesses,
  currentTask,
  type JsonValue,
  OnRevoked,
  RedriveRefusedError,
  Retry,
  Task,
  TaskContext,
  type TaskFailure,
  Tolerate,
} from 'nestjs-task-queue';
import { takeAway } from '../support/timer-stop.js';
import { Diary } from './tasks.js';
import { type Fluent, type Handle, until, useStage, type World } from './world.js';

@Injectable()
class AwayTasks {
  /** Names of those that fail. */
  static away = new Set<string>();
  /** Who waits behind a door in a later generation too, with all of the line. */
  static again: string | undefined;

  constructor(private readonly diary: Diary) {}

  /** Waits behind the door of its name, in the first generation; fails while its service is away. */
  @Task({ name: 'ask' })
  async ask(...args: JsonValue[]): Promise<JsonValue> {
    const last = args.at(-1);
    const name = typeof last === 'string' ? last : '';
    const { redriven, signal } = currentTask();
    if (redriven === undefined) {
      this.diary.write(`${name} waits`);
      await this.diary.pass(name, signal);
    } else if (AwayTasks.again === name) await this.diary.pass(`${name} again`, signal);
    this.diary.write(`${name} g${redriven?.generation ?? 0}`);
    if (AwayTasks.away.has(name)) throw new RangeError(name);
    return name;
  }

  /** The same one after the other: the next ones wait in their queue. */
  @Task({ name: 'line', queue: 'narrow' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 0 } })
  async line(...args: JsonValue[]): Promise<JsonValue> {
    const { redriven, signal } = currentTask();
    if (redriven !== undefined && AwayTasks.again !== undefined) {
      this.diary.write('line again');
      await this.diary.pass('again', signal);
    }
    return this.ask(...args);
  }

  /** A body, callback or errback: notes what it is told and what it gets. */
  @Task({ name: 'told' })
  told(payload: JsonValue, label: string, task: TaskContext): JsonValue {
    const { generation = 0, changed = [] } = task.redriven ?? {};
    this.diary.write(`${label} g${generation} [${changed.join(' ')}]`);
    if (AwayTasks.away.has(label)) throw new RangeError(label);
    return payload;
  }

  @OnRevoked('line')
  revoked({ request }: TaskFailure): void {
    this.diary.write(`revoked hook g${request.generation ?? 0}`);
  }
}

/** How a canvas comes to its first end. */
interface Course {
  readonly away?: readonly string[];
  /** Those that have to have begun before any door is opened. */
  readonly begun?: readonly string[];
  /** The doors that are opened then. */
  readonly open?: readonly string[];
}

/** New generations of canvases whose headers were closed while members were pending. */
export function redriveClosedCases(world: World): void {
  describe('a redrive of a header that was closed early', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } }, [AwayTasks]);
    const stage = () => it_.stage;
    const workflows = () => stage().workflows;
    const diary = () => stage().diary;
    const ask = (name: string): Fluent => stage().call('ask', name);
    const line = (name: string): Fluent => stage().call('line', name);
    const told = (label: string): Fluent => stage().call('told', label);
    const group = (members: object, options: object = {}): Fluent =>
      workflows().group(members as never, options as never) as unknown as Fluent;
    const chain = (...steps: object[]): Fluent => workflows().chain(...(steps as never)) as unknown as Fluent;
    const chord = (header: object, options: object): Fluent =>
      (
        workflows().chord(header as never, told('body') as never, options as never) as unknown as Fluent
      ).linkError(told('errback'));
    const ran = (): string[] =>
      diary()
        .entries.filter((entry) => / g\d/.test(entry) && !entry.includes('hook'))
        .sort();
    const states = (handle: Handle, ...paths: string[]): Promise<string[]> =>
      Promise.all(paths.map((path) => workflows().result(`${handle.id}.${path}`).state()));

    const publish = async (canvas: object, { away = [], begun = [], open = [] }: Course): Promise<Handle> => {
      AwayTasks.away = new Set(away);
      const handle = await stage().publish(canvas);
      for (const name of begun) await until(() => diary().count(`${name} waits`) === 1, `${name} has begun`);
      for (const name of open) diary().open(name);
      return handle;
    };
    /** Publishes a canvas, and waits for its end, but for no member that goes on past it. */
    const start = async (canvas: object, course: Course): Promise<Handle> => {
      const handle = await publish(canvas, course);
      await handle.get({ propagate: false });
      return handle;
    };
    /** Has members go on, and forgets what ran until then. */
    const settle = async (...doors: string[]): Promise<void> => {
      for (const door of doors) diary().open(door);
      await stage().app.quiet();
      diary().entries.length = 0;
    };
    /** Redrives it while some are away, none if none are named. */
    const redrive = async (handle: Handle, ...away: string[]) => {
      AwayTasks.away = new Set(away);
      const { begun, rerun, left, generation } = await workflows().redrive(handle.id);
      expect(begun).toBe(true);
      await handle.get({ propagate: false });
      await stage().app.quiet();
      const paths = (ids: readonly string[]) => ids.map((id) => id.slice(handle.id.length + 1)).sort();
      return { generation, rerun: paths(rerun), left: paths(left) };
    };
    const refusal = async (handle: Handle): Promise<RedriveRefusedError> => {
      const error: unknown = await workflows()
        .redrive(handle.id)
        .catch((thrown: unknown) => thrown);
      if (error instanceof RedriveRefusedError) return error;
      throw new Error('it was redriven', { cause: error });
    };
    const none = Tolerate({ count: 0 });
    afterEach(() => {
      AwayTasks.away = new Set();
      AwayTasks.again = undefined;
    });

    it('runs again what failed, and what was cancelled while it waited', async () => {
      const canvas = chord([line('a'), line('b'), line('c'), ask('d')], { recovery: none });
      const handle = await start(canvas, { away: ['d'], begun: ['a', 'd'], open: ['d'] });
      expect(await states(handle, '1', '2', '3')).toEqual(['REVOKED', 'REVOKED', 'FAILURE']);
      const { reason, message } = await refusal(handle);
      expect(reason).toBe('running');
      expect(message).toContain(
        `1 member goes on that was pending when the header of ${handle.id} was closed`,
      );
      await settle('a');
      const { rerun, left } = await redrive(handle);
      expect({ rerun, left }).toEqual({ rerun: ['1', '2', '3'], left: [] });
      expect(ran()).toEqual(['b g1', 'body g1 [0 1 2 3]', 'c g1', 'd g1']);
      expect(await handle.get()).toEqual(['a', 'b', 'c', 'd']);
    });

    it('of a group keeps what it has, as often as it is needed', async () => {
      const canvas = group([ask('a'), line('b'), line('c'), ask('d')], { failFast: true });
      const handle = await publish(canvas, { away: ['d'], begun: ['a', 'b', 'd'], open: ['a'] });
      await until(async () => (await states(handle, '0'))[0] === 'SUCCESS', 'the first one has returned');
      diary().open('d');
      await handle.get({ propagate: false });
      await settle('b');
      expect(await redrive(handle, 'c', 'd')).toMatchObject({ rerun: ['2', '3'], left: [] });
      await expect(handle.get()).rejects.toMatchObject({ code: 'GROUP_FAILED' });
      diary().entries.length = 0;
      const { generation, rerun } = await redrive(handle);
      expect(generation).toBe(2);
      for (const entry of ran()) expect(entry).toMatch(/^[cd] g2$/);
      expect(ran()).toHaveLength(rerun.length);
      expect(await handle.get()).toEqual(['a', 'b', 'c', 'd']);
      expect((await handle.describe()).counts).toMatchObject({ succeeded: 4, failed: 0, pending: 0 });
    });

    it('runs the hook of a task that is cancelled in each generation, and tells it that', async () => {
      const canvas = group([line('a'), line('b'), line('c'), ask('d')], { failFast: true });
      const handle = await start(canvas, { away: ['d'], begun: ['a', 'd'], open: ['d'] });
      const hooks = () => diary().entries.filter((entry) => entry.includes('hook'));
      diary().open('a');
      await stage().app.quiet();
      expect(hooks()).toEqual(['revoked hook g0', 'revoked hook g0']);
      diary().entries.length = 0;
      // The one in front of the line holds the other one up until the header is closed again.
      AwayTasks.again = 'd';
      const redriven = redrive(handle, 'd');
      await until(() => diary().count('line again') === 1, 'one of them runs');
      diary().open('d again');
      await until(async () => (await handle.state()) === 'FAILURE', 'it is closed again');
      diary().open('again');
      await redriven;
      expect(hooks()).toEqual(['revoked hook g1']);
    });

    it('runs again what was ended while it ran', async () => {
      const recovery = Tolerate({ count: 0, rest: 'terminate' });
      const canvas = chord([line('a'), line('b'), ask('c')], { recovery });
      const handle = await start(canvas, { away: ['c'], begun: ['a', 'c'], open: ['c'] });
      await settle();
      expect(await states(handle, '0', '1')).toEqual(['REVOKED', 'REVOKED']);
      expect(await redrive(handle)).toMatchObject({ rerun: ['0', '1', '2'], left: [] });
      expect(ran()).toEqual(['a g1', 'b g1', 'body g1 [0 1 2]', 'c g1']);
      expect(await handle.get()).toEqual(['a', 'b', 'c']);
    });

    it('takes the values of members that went on, and runs those of them again that failed', async () => {
      const recovery = Tolerate({ count: 0, rest: 'leave' });
      const canvas = chord([line('a'), line('b'), line('c'), ask('d')], { recovery });
      const handle = await start(canvas, { away: ['b', 'd'], begun: ['a', 'd'], open: ['d'] });
      expect((await refusal(handle)).message).toContain('3 members go on that were pending');
      await settle('a', 'b', 'c');
      expect(await redrive(handle)).toMatchObject({ rerun: ['1', '3'], left: [] });
      expect(ran()).toEqual(['b g1', 'body g1 [0 1 2 3]', 'd g1']);
      expect(await handle.get()).toEqual(['a', 'b', 'c', 'd']);
      expect(await refusal(handle)).toMatchObject({ reason: 'succeeded' });
    });

    it('of a chord that its deadline has ended runs the body over all of them', async () => {
      const handle = await start(chord([line('a'), line('b')], { deadline: 100 }), { begun: ['a'] });
      expect(await handle.get()).toEqual([]);
      await settle('a', 'b');
      const { rerun } = await redrive(handle);
      expect(rerun).toEqual([]);
      expect(ran()).toEqual(['body g1 [0 1]']);
      expect(await handle.get()).toEqual(['a', 'b']);
    });

    it('runs a body alone that failed while members go on', async () => {
      const canvas = chord([ask('a'), line('b')], { deadline: 100, recovery: CallbackWithSuccesses });
      const handle = await start(canvas, { away: ['body'], begun: ['b'], open: ['a'] });
      AwayTasks.away = new Set();
      expect(await workflows().redrive(handle.id)).toMatchObject({ rerun: [`${handle.id}.body`] });
      expect(await handle.get()).toEqual(['a']);
      await settle('b');
      // What has come by then counts.
      await redrive(handle);
      expect(ran()).toEqual(['body g2 [1]']);
      expect(await handle.get()).toEqual(['a', 'b']);
    });

    it('goes down into what was cancelled', async () => {
      const recovery = Tolerate({ count: 0, rest: 'terminate' });
      const inner = chord([line('b'), line('c')], { recovery: none });
      const header = [chain(line('a'), ask('after a')), inner, group([line('d'), ask('e')]), ask('f')];
      const handle = await start(chord(header, { recovery }), {
        away: ['f'],
        begun: ['a', 'e', 'f'],
        open: ['f'],
      });
      await settle();
      expect(await states(handle, '0', '1', '2')).toEqual(['REVOKED', 'REVOKED', 'REVOKED']);
      const { rerun, left } = await redrive(handle);
      expect({ rerun, left }).toEqual({ rerun: ['0.0', '1.0', '1.1', '2.0', '2.1', '3'], left: [] });
      expect(ran()).toEqual([
        'a g1',
        'after a g1',
        'b g1',
        'body g1 [0 1 2 3]',
        'body g1 [0 1]',
        'c g1',
        'd g1',
        'e g1',
        'f g1',
      ]);
      expect(await handle.get()).toEqual(['after a', ['b', 'c'], ['d', 'e'], 'f']);
    });

    it('has a chain go on that was cancelled between two steps, with the value of the first', async () => {
      const canvas = chord([chain(ask('a'), ask('after a')), ask('d')], { recovery: none });
      const handle = await start(canvas, { away: ['d'], begun: ['a', 'd'], open: ['d'] });
      await settle('a');
      expect(await states(handle, '0', '0.0')).toEqual(['REVOKED', 'SUCCESS']);
      expect(await redrive(handle)).toEqual({ generation: 1, rerun: ['1'], left: [] });
      expect(ran()).toEqual(['after a g1', 'body g1 [0 1]', 'd g1']);
      expect(await handle.get()).toEqual(['after a', 'd']);
    });

    it('has a chord go on that was cancelled before its body, and chains in chains', async () => {
      const inner = chord([ask('a'), ask('b')], {});
      const deep = group([chain(chain(ask('c'), ask('after c')), ask('last'))]);
      const handle = await start(group([inner, deep, ask('d')], { failFast: true }), {
        away: ['d'],
        begun: ['a', 'b', 'c', 'd'],
        open: ['d'],
      });
      await settle('a', 'b', 'c');
      expect(await redrive(handle)).toMatchObject({ rerun: ['2'], left: [] });
      expect(ran()).toEqual(['after c g1', 'body g1 []', 'd g1', 'last g1']);
      expect(await handle.get()).toEqual([['a', 'b'], ['last'], 'd']);
    });

    it('of a canvas in which it lies, together with what else failed', async () => {
      const inner = chord([line('a'), line('b'), ask('c')], { recovery: none });
      const handle = await start(group([inner, ask('d'), ask('e')]), {
        away: ['c', 'e'],
        begun: ['a', 'c', 'd', 'e'],
        open: ['c', 'd', 'e'],
      });
      expect((await refusal(handle)).message).toContain(`when the header of ${handle.id}.0 was closed`);
      await settle('a');
      expect(await redrive(handle)).toMatchObject({ rerun: ['0.1', '0.2', '2'], left: [] });
      expect(await handle.get()).toEqual([['a', 'b', 'c'], 'd', 'e']);
    });

    it('that was closed within one that was', async () => {
      const recovery = Tolerate({ count: 0, rest: 'terminate' });
      const slow = workflows().chord(
        [line('a'), line('b'), ask('c')] as never,
        ask('inner body') as never,
        { recovery: Tolerate({ count: 0, onBreach: 'callback' }) } as never,
      );
      const handle = await publish(chord([slow, ask('d')], { recovery }), {
        away: ['c', 'd'],
        begun: ['a', 'c', 'd'],
        open: ['c'],
      });
      await until(() => diary().count('inner body waits') === 1, 'the body of the inner one has begun');
      diary().open('d');
      await handle.get({ propagate: false });
      await settle('a');
      const { left } = await redrive(handle);
      expect(left).toEqual([]);
      expect(await handle.get()).toEqual(['inner body', 'd']);
    });

    it('leaves alone what somebody has revoked', async () => {
      const canvas = group([line('a'), line('b'), line('c'), ask('d')], { failFast: true });
      const handle = await publish(canvas, { away: ['d'], begun: ['a', 'd'] });
      // Before its header is closed, and so by nobody else; a group with fail-fast is closed by it.
      await workflows().result(`${handle.id}.1`).revoke();
      await handle.get({ propagate: false });
      diary().open('d');
      await settle('a');
      const { rerun, left } = await redrive(handle);
      expect(left).toEqual(['1']);
      expect(rerun).not.toContain('1');
      expect(await states(handle, '1')).toEqual(['REVOKED']);
      await expect(handle.get()).rejects.toMatchObject({ code: 'GROUP_FAILED' });
    });

    it('leaves alone what somebody has revoked that was cancelled already, by itself or as a part', async () => {
      const canvas = group([line('a'), line('b'), group([line('c'), line('e')]), ask('d')], {
        failFast: true,
      });
      const handle = await start(canvas, { away: ['d'], begun: ['a', 'd'], open: ['d'] });
      const revoke = (path: string) => workflows().result(`${handle.id}.${path}`).revoke();
      await until(async () => (await states(handle, '2'))[0] === 'REVOKED', 'the group has ended');
      expect([await revoke('1'), await revoke('2'), await revoke('1')]).toEqual([true, true, false]);
      await settle('a');
      expect(await redrive(handle)).toEqual({ generation: 1, rerun: ['3'], left: ['1', '2'] });
      expect(ran()).toEqual(['d g1']);
      expect(await states(handle, '0', '1', '2.0', '2.1', '3')).toEqual([
        'SUCCESS',
        'REVOKED',
        'REVOKED',
        'REVOKED',
        'SUCCESS',
      ]);
    });

    it('leaves alone whom somebody has revoked while it ran, also where it failed by itself', async () => {
      const handle = await start(group([ask('a'), ask('d')], { failFast: true }), {
        away: ['a', 'd'],
        begun: ['a', 'd'],
        open: ['d'],
      });
      expect(await workflows().result(`${handle.id}.0`).revoke()).toBe(true);
      await settle('a');
      expect(await redrive(handle)).toEqual({ generation: 1, rerun: ['1'], left: ['0'] });
    });

    it('leaves alone whom somebody has revoked after it was closed', async () => {
      const recovery = Tolerate({ count: 0, rest: 'leave' });
      const canvas = chord([line('a'), line('b'), ask('c')], { recovery });
      const handle = await start(canvas, { away: ['c'], begun: ['a', 'c'], open: ['c'] });
      await workflows().result(`${handle.id}.1`).revoke();
      await settle('a');
      expect(await redrive(handle)).toMatchObject({ rerun: ['2'], left: ['1'] });
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      expect(await states(handle, '0', '1', '2')).toEqual(['SUCCESS', 'REVOKED', 'SUCCESS']);
    });

    it('as often as it takes, each time with what is cancelled anew', async () => {
      const canvas = chord([line('a'), line('b'), ask('c')], { recovery: none });
      const handle = await start(canvas, { away: ['c'], begun: ['a', 'c'], open: ['c'] });
      await settle('a');
      for (const generation of [1, 2, 3]) {
        const away = generation < 3 ? ['c'] : [];
        expect(await redrive(handle, ...away)).toMatchObject({ generation, left: [] });
        const ends = ran().filter((entry) => /body|errback/.test(entry));
        expect(ends).toHaveLength(1);
        expect(ends[0]).toMatch(away.length > 0 ? /^errback/ : /^body/);
        diary().entries.length = 0;
      }
      expect(await handle.get()).toEqual(['a', 'b', 'c']);
    });

    it('after its late callback, which it gets again for what comes late then', async () => {
      const late = { callback: told('late') };
      const canvas = chord([line('a'), line('b')], { deadline: 100, late });
      const handle = await start(canvas, { away: ['b'], begun: ['a'] });
      await settle('a', 'b');
      expect(await redrive(handle)).toMatchObject({ rerun: ['1'] });
      expect(ran()).toEqual(['b g1', 'body g1 [0 1]']);
      expect(await handle.get()).toEqual(['a', 'b']);
    });

    it('is refused where not all of its members were published', async () => {
      let tellEnd = (): void => undefined;
      const end = new Promise<void>((resolve) => (tellEnd = resolve));
      async function* source() {
        yield ask('a');
        await end;
        yield ask('b');
      }
      const handle = await start(chord(source(), { recovery: none }), { away: ['a'], open: ['a'] });
      tellEnd();
      await settle();
      expect(await refusal(handle)).toMatchObject({ reason: 'incomplete' });
    });

    it('is refused for that too where its body has run, and a late member failed', async () => {
      let tellEnd = (): void => undefined;
      const end = new Promise<void>((resolve) => (tellEnd = resolve));
      async function* source() {
        yield told('a');
        yield ask('b');
        await end;
        yield told('c');
      }
      const canvas = chord(source(), { recovery: CallbackWithSuccesses, deadline: 100 });
      const handle = await start(canvas, { away: ['b'] });
      expect(await handle.describe()).toMatchObject({ state: 'SUCCESS', recovered: { pending: 1 } });
      tellEnd();
      await settle('b');
      expect(await refusal(handle)).toMatchObject({ reason: 'incomplete' });
    });

    it('names whom it leaves: who was revoked or removed, before it was closed and after', async () => {
      const members = [line('a'), line('b'), line('c'), line('d'), line('e'), ask('f')];
      const recovery = Tolerate({ count: 2, rest: 'leave' });
      const handle = await publish(chord(members, { recovery }), { away: ['f'], begun: ['a', 'f'] });
      await workflows().result(`${handle.id}.1`).revoke();
      await takeAway(stage().app, { queue: 'narrow', id: `${handle.id}.2` });
      diary().open('f');
      await handle.get({ propagate: false });
      await workflows().result(`${handle.id}.3`).revoke();
      await takeAway(stage().app, { queue: 'narrow', id: `${handle.id}.4` });
      await settle('a');
      expect(await redrive(handle)).toMatchObject({ rerun: ['5'], left: ['1', '2', '3', '4'] });
    });

    it('goes when the canvas does', async () => {
      const canvas = chord([line('a'), line('b'), ask('c')], { recovery: none });
      const handle = await start(canvas, { away: ['c'], begun: ['a', 'c'], open: ['c'] });
      await settle('a');
      await handle.forget();
      expect(await states(handle, '0', '1', '2')).toEqual(['UNKNOWN', 'UNKNOWN', 'UNKNOWN']);
    });
  });
}
