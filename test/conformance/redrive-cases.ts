import { Injectable } from '@nestjs/common';
import {
  CallbackWithSuccesses,
  currentTask,
  type DeadLetter,
  type JsonValue,
  OnDeadLetter,
  OnFailure,
  OnSuccess,
  Task,
  TaskContext,
  type TaskFailure,
  WorkflowService,
} from 'nestjs-task-queue';
import { takeAway } from '../support/timer-stop.js';
import { Diary } from './tasks.js';
import { type Fluent, type Handle, useStage, type World } from './world.js';

class Unwell extends Error {
  override name = 'Unwell';
}

/** The name that a call carries last. */
function lastOf(args: readonly JsonValue[]): string {
  const last = args.at(-1);
  return typeof last === 'string' ? last : '';
}

@Injectable()
class PatientTasks {
  /** Names of those that fail. */
  static sick = new Set<string>();

  constructor(
    private readonly diary: Diary,
    private readonly workflows: WorkflowService,
  ) {}

  /** Passes its name on behind what it got. */
  @Task({ name: 'visit' })
  visit(...args: JsonValue[]): JsonValue {
    const name = lastOf(args);
    const { redriven } = currentTask();
    this.diary.write(redriven ? `${name} g${redriven.generation}` : name);
    if (PatientTasks.sick.has(name)) throw new Unwell(name);
    return args.length === 1 ? name : [...args.slice(0, -1), name];
  }

  /** A body, callback or errback: notes what it is told. */
  @Task({ name: 'told' })
  told(first: JsonValue, label: string, task: TaskContext): JsonValue {
    const { generation = 0, changed = [] } = task.redriven ?? {};
    this.diary.write(`${label} g${generation} [${changed.join(' ')}]`);
    if (PatientTasks.sick.has(label)) throw new Unwell(label);
    return first;
  }

  /** One item of a list. */
  @Task({ name: 'visitEach' })
  visitEach(item: string): string {
    this.diary.write(`item ${item}`);
    if (PatientTasks.sick.has(item)) throw new Unwell(item);
    return item;
  }

  /** Is replaced by a visit. */
  @Task({ name: 'refers' })
  refers(name: string): JsonValue {
    this.diary.write('refers');
    return currentTask().replace(this.workflows.signature('visit', [name]) as never);
  }

  /** Adds a visit to its group, and is told so by its name. */
  @Task({ name: 'brings' })
  async brings(name: string): Promise<string> {
    const task = currentTask();
    if (PatientTasks.sick.has('brings')) throw new Unwell('brings');
    await task.addToGroup(this.workflows.signature('visit', [name]) as never);
    return 'brings';
  }

  @OnFailure('visit')
  failed({ request }: TaskFailure): void {
    this.diary.write(`failure hook ${lastOf(request.args)} g${request.generation ?? 0}`);
  }

  @OnSuccess('visit')
  succeeded({ args, generation = 0 }: { args: readonly JsonValue[]; generation?: number }): void {
    this.diary.write(`success hook ${lastOf(args)} g${generation}`);
  }

  @Task({ name: 'buryVisit' })
  @OnDeadLetter('visit')
  bury({ failure }: DeadLetter): void {
    this.diary.write(`letter of ${lastOf(failure.request.args)} g${failure.request.generation ?? 0}`);
  }
}

/** New generations of canvases that have ended. */
export function redriveCases(world: World): void {
  describe('a redrive', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } }, [PatientTasks]);
    const stage = () => it_.stage;
    const workflows = () => stage().workflows;
    const visit = (name: string): Fluent => stage().call('visit', name);
    const told = (label: string): Fluent => stage().call('told', label);
    const group = (...members: object[]): Fluent => workflows().group(members as never) as unknown as Fluent;
    const chain = (...steps: object[]): Fluent => workflows().chain(...(steps as never)) as unknown as Fluent;
    const chord = (header: object[], body: object, options: object = {}): Fluent =>
      workflows().chord(header as never, body as never, options) as unknown as Fluent;
    /** What ran, hooks and letters left out. */
    const ran = (): string[] => stage().diary.entries.filter((entry) => !/hook|letter/.test(entry));
    const seen = (): string[] => [...stage().diary.entries].sort();

    /** Runs a canvas while some of its tasks fail. */
    const runSick = async (canvas: object, ...sick: string[]): Promise<Handle> => {
      PatientTasks.sick = new Set(sick);
      const handle = await stage().run(canvas);
      stage().diary.entries.length = 0;
      return handle;
    };
    /** Redrives it while some of its tasks fail, none if none are named. */
    const redrive = async (handle: Handle, ...sick: string[]) => {
      PatientTasks.sick = new Set(sick);
      const outcome = await workflows().redrive(handle.id);
      expect(outcome.begun).toBe(true);
      await handle.get({ propagate: false });
      await stage().app.quiet();
      return outcome;
    };
    /** A visit that waits for longer than any case goes on. */
    const later = (name: string): object =>
      (visit(name) as unknown as { set(options: object): object }).set({ countdown: '1h' });
    /** Revokes a member that waits, and removes another one by hand. */
    const withdraw = async ({ id }: Handle, revoked: number, removed: number): Promise<void> => {
      await workflows().result(`${id}.${revoked}`).revoke();
      await takeAway(stage().app, { queue: 'default', id: `${id}.${removed}` });
    };
    afterEach(() => (PatientTasks.sick = new Set()));

    describe('of a group', () => {
      it('runs the failed members again, keeps the values of the others, and ends with all of them', async () => {
        const handle = await runSick(group(visit('a'), visit('b'), visit('c'), visit('d')), 'b', 'd');
        const { generation, rerun, left } = await redrive(handle);
        expect(ran().sort()).toEqual(['b g1', 'd g1']);
        expect(await handle.get()).toEqual(['a', 'b', 'c', 'd']);
        expect({ generation, rerun: [...rerun].sort(), left }).toEqual({
          generation: 1,
          rerun: [`${handle.id}.1`, `${handle.id}.3`],
          left: [],
        });
      });

      it('names whom it leaves: members that were revoked or removed while they waited, whatever its width', async () => {
        const many = Array.from({ length: 1_010 }, () => visit('a'));
        for (const members of [[], many]) {
          PatientTasks.sick = new Set(['a']);
          const inner = group(visit('a'), later('c'), later('d'));
          const handle = await stage().publish(group(visit('a'), later('c'), later('d'), inner, ...members));
          await withdraw(handle, 1, 2);
          await withdraw(workflows().result(`${handle.id}.3`), 1, 2);
          await handle.get({ propagate: false });
          await stage().app.quiet();
          const { rerun, left } = await redrive(handle);
          const ids = (paths: string[]) => paths.map((path) => `${handle.id}.${path}`).sort();
          expect([...rerun].sort()).toEqual(ids(['0', '3.0', ...members.map((_, at) => `${at + 4}`)]));
          expect([...left].sort()).toEqual(ids(['1', '2', '3.1', '3.2']));
        }
      }, 120_000);

      it('as often as it takes, and remembers its generations', async () => {
        const handle = await runSick(group(visit('a'), visit('b'), visit('c')), 'b', 'c');
        await redrive(handle, 'c');
        await expect(handle.get()).rejects.toMatchObject({ code: 'GROUP_FAILED' });
        expect(await handle.describe()).toMatchObject({
          state: 'FAILURE',
          generation: 1,
          counts: { size: 3, succeeded: 2, failed: 1, pending: 0 },
          error: { request: { generation: 1 } },
          history: [
            {
              generation: 0,
              state: 'FAILURE',
              error: expect.stringMatching(/^GroupError: 2 of 3/),
              rerun: 2,
            },
          ],
        });
        stage().diary.entries.length = 0;
        await redrive(handle);
        expect(ran()).toEqual(['c g2']);
        expect(await handle.describe()).toMatchObject({
          state: 'SUCCESS',
          generation: 2,
          value: ['a', 'b', 'c'],
          history: [{ generation: 0 }, { generation: 1, state: 'FAILURE', rerun: 1 }],
        });
        const member = await workflows().result(`${handle.id}.2`).describe();
        expect(member).toMatchObject({ state: 'SUCCESS', value: 'c' });
      });

      it('tells its generation to members that are added in it', async () => {
        const handle = await runSick(group(visit('a'), stage().call('brings', 'b')), 'brings');
        await redrive(handle);
        expect(ran()).toEqual(['b g1']);
        expect(await handle.get()).toEqual(['a', 'brings', 'b']);
      });

      it('of more than one step can carry does the same', async () => {
        const size = 1_050;
        const members = Array.from({ length: size }, (_, index) => visit(index === 7 ? 'a' : 'b'));
        const handle = await runSick(chord(members, told('body')), 'b');
        const { rerun, left } = await redrive(handle);
        expect({ count: rerun.length, left }).toEqual({ count: size - 1, left: [] });
        const changed = Array.from({ length: size }, (_, index) => index).filter((index) => index !== 7);
        expect(ran().filter((entry) => entry !== 'b g1')).toEqual([`body g1 [${changed.join(' ')}]`]);
        expect(ran().filter((entry) => entry === 'b g1')).toHaveLength(size - 1);
        expect(await handle.describe()).toMatchObject({
          generation: 1,
          counts: { size, succeeded: size, failed: 0, pending: 0 },
        });
      }, 120_000);

      it('releases its callbacks and errbacks once for each generation, and tells them what has changed', async () => {
        const canvas = group(visit('a'), visit('b'), visit('c'))
          .link(told('link'))
          .linkError(told('errback'));
        const handle = await runSick(canvas, 'b', 'c');
        await redrive(handle, 'b');
        expect(ran().filter((entry) => entry.startsWith('e'))).toEqual(['errback g1 [1 2]']);
        await redrive(handle);
        expect(ran().filter((entry) => /^[el]/.test(entry))).toEqual(['errback g1 [1 2]', 'link g2 [1]']);
        const handles = ['errback.0', 'g1.errback.0', 'g2.link.0'].map((name) =>
          workflows().result(`${handle.id}.${name}`).state(),
        );
        expect(await Promise.all(handles)).toEqual(['SUCCESS', 'SUCCESS', 'SUCCESS']);
      });
    });

    describe('of a chord', () => {
      it('runs its body over the members of both generations, and tells it which changed', async () => {
        const canvas = chord([visit('a'), visit('b'), visit('c')], told('body')).linkError(told('errback'));
        const handle = await runSick(canvas, 'a', 'c');
        await redrive(handle);
        expect(ran().sort()).toEqual(['a g1', 'body g1 [0 2]', 'c g1']);
        expect(await handle.get()).toEqual(['a', 'b', 'c']);
        expect(await handle.describe()).toMatchObject({
          state: 'SUCCESS',
          generation: 1,
          counts: { size: 3, succeeded: 3, failed: 0 },
        });
      });

      it('whose body failed runs the body alone', async () => {
        const handle = await runSick(chord([visit('a'), visit('b')], told('body')), 'body');
        await redrive(handle);
        expect(ran()).toEqual(['body g1 []']);
        expect(await handle.get()).toEqual(['a', 'b']);
      });

      it('that failed again runs its errback again, and its body when nothing fails any more', async () => {
        const canvas = chord([visit('a'), visit('b')], told('body')).linkError(told('errback'));
        const handle = await runSick(canvas, 'a', 'b');
        await redrive(handle, 'b');
        await redrive(handle, 'body');
        await redrive(handle);
        expect(ran().filter((entry) => /^(body|errback)/.test(entry))).toEqual([
          'errback g1 [0 1]',
          'body g2 [1]',
          'errback g2 [1]',
          'body g3 []',
        ]);
        expect(await handle.get()).toEqual(['a', 'b']);
      });

      it('that was recovered amends: the failed members, and then the body over all of them', async () => {
        const options = { recovery: CallbackWithSuccesses };
        const canvas = chord([visit('a'), visit('b'), visit('c')], told('body'), options).link(told('link'));
        const handle = await runSick(canvas, 'b');
        expect(await handle.get()).toEqual(['a', 'c']);
        await redrive(handle);
        expect(ran().sort()).toEqual(['b g1', 'body g1 [1]', 'link g1 [1]']);
        expect(await handle.get()).toEqual(['a', 'b', 'c']);
        const description = await handle.describe();
        expect(description).toMatchObject({
          state: 'SUCCESS',
          generation: 1,
          history: [{ generation: 0, state: 'SUCCESS', rerun: 1 }],
          counts: { size: 3, succeeded: 3, failed: 0 },
        });
        expect(description.recovered).toBeUndefined();
        const children = await handle.children();
        expect(await Promise.all(children.map((child) => child.state()))).toEqual(
          Array.from({ length: 4 }, () => 'SUCCESS'),
        );
      });

      it('that was recovered and whose body was a canvas runs a body anew', async () => {
        const options = { recovery: CallbackWithSuccesses };
        const body = chain(told('first'), group(told('left'), told('right')));
        const handle = await runSick(chord([visit('a'), visit('b')], body, options), 'b');
        await redrive(handle, 'right');
        await expect(handle.get())
          .rejects.toMatchObject({ name: 'ChordError' })
          .catch(() => undefined);
        expect(await handle.state()).toBe('FAILURE');
        stage().diary.entries.length = 0;
        await redrive(handle);
        expect(ran()).toEqual(['right g2 []']);
        expect(await handle.get()).toEqual([
          ['a', 'b'],
          ['a', 'b'],
        ]);
      });
    });

    describe('of a chain', () => {
      it.each([
        ['its first step', 'a', ['a g1', 'b g1', 'c g1']],
        ['a step in its middle', 'b', ['b g1', 'c g1']],
        ['its last step', 'c', ['c g1']],
      ])('goes on at %s, with the value of the step before', async (_which, sick, expected) => {
        const handle = await runSick(chain(visit('a'), visit('b'), visit('c')), sick);
        await redrive(handle);
        expect(ran()).toEqual(expected);
        expect(await handle.get()).toEqual([['a', 'b'], 'c']);
      });

      it('goes on inside of a group that is a step', async () => {
        const canvas = chain(visit('a'), group(visit('b'), visit('c')), visit('d'));
        const handle = await runSick(canvas, 'c');
        await redrive(handle);
        expect(ran()).toEqual(['c g1', 'd g1']);
        expect(await handle.get()).toEqual([
          [
            ['a', 'b'],
            ['a', 'c'],
          ],
          'd',
        ]);
      });

      it('with a step that has callbacks of its own releases them', async () => {
        const canvas = chain(
          visit('a'),
          visit('b').link(told('link')).linkError(told('errback')),
          visit('c'),
        );
        const handle = await runSick(canvas, 'b');
        await redrive(handle, 'b');
        await redrive(handle);
        expect(ran().sort()).toEqual(['b g1', 'b g2', 'c g2', 'errback g1 [0]', 'link g2 [0]']);
      });
    });

    it('of a tree runs the leaves that failed, and what depends on them', async () => {
      const inner = chord([visit('a'), visit('b')], told('inner'));
      const canvas = chord(
        [
          inner,
          chain(visit('c'), visit('d'), visit('e')),
          group(visit('f'), group(visit('g'), visit('h'))),
          visit('i'),
        ],
        told('outer'),
      );
      const handle = await runSick(canvas, 'b', 'd', 'h');
      await redrive(handle, 'h');
      expect(ran().sort()).toEqual(['b g1', 'd g1', 'e g1', 'h g1', 'inner g1 [1]']);
      stage().diary.entries.length = 0;
      await redrive(handle);
      expect(ran()).toEqual(['h g2', 'outer g2 [2]']);
      expect(await handle.get()).toEqual([['a', 'b'], [['c', 'd'], 'e'], ['f', ['g', 'h']], 'i']);
    });

    it('of a map or a replaced task runs it again as a unit', async () => {
      const map = workflows().fromData({
        kind: 'task',
        task: 'visitEach',
        args: [['x', 'y', 'z']],
        each: 'map',
      });
      const handle = await runSick(group(map, stage().call('refers', 'r'), visit('b')), 'y', 'r');
      const { rerun } = await redrive(handle);
      expect([...rerun].sort()).toEqual([`${handle.id}.0`, `${handle.id}.1`]);
      expect(await handle.get()).toEqual([['x', 'y', 'z'], 'r', 'b']);
      expect(ran().filter((entry) => entry === 'refers' || entry === 'r g1')).toEqual(['refers', 'r g1']);
    });

    it('runs the hooks of what is run again, and sends its letters, with the generation', async () => {
      const handle = await runSick(group(visit('a'), visit('b')), 'a', 'b');
      await redrive(handle, 'b');
      expect(seen()).toEqual(['a g1', 'b g1', 'failure hook b g1', 'letter of b g1', 'success hook a g1']);
    });

    describe('and dead letters', () => {
      const letters = () => workflows().deadLetters;
      const open = async (): Promise<string[]> => (await letters().list()).letters.map(({ id }) => id).sort();

      it('letters of what is run again are retried; what fails again has an open one', async () => {
        const handle = await runSick(group(visit('a'), visit('b')), 'a', 'b');
        expect(await open()).toEqual([`${handle.id}.0`, `${handle.id}.1`]);
        await redrive(handle, 'b');
        expect(await open()).toEqual([`${handle.id}.1`]);
        expect(await letters().get(`${handle.id}.0`)).toMatchObject({ retriedAs: `${handle.id}.0` });
        expect(await letters().get(`${handle.id}.1`)).toMatchObject({
          failure: { request: { generation: 1 } },
        });
      });

      it('a letter offers it: the canvas goes on with the task in its place', async () => {
        const handle = await runSick(chord([visit('a'), visit('b')], told('body')), 'a');
        PatientTasks.sick.clear();
        const whole = await letters().retry(`${handle.id}.0`, { redrive: true });
        expect(whole.id).toBe(handle.id);
        expect(await whole.get()).toEqual(['a', 'b']);
        await stage().app.quiet();
        expect((await letters().retry(`${handle.id}.0`, { redrive: true })).id).toBe(handle.id);
        expect(stage().diary.count('a g1')).toBe(1);
        expect(await open()).toEqual([]);
      });

      it('of a task that stands alone there is nothing to redrive', async () => {
        const handle = await runSick(visit('a'), 'a');
        await expect(letters().retry(handle.id, { redrive: true })).rejects.toMatchObject({
          code: 'REDRIVE_REFUSED',
          reason: 'task',
        });
        await expect(letters().retry(handle.id, { redrive: true, args: [] })).rejects.toMatchObject({
          code: 'INVALID_OPTIONS',
        });
      });
    });

    describe('called several times', () => {
      it('at once: begins one generation', async () => {
        const handle = await runSick(chord([visit('a'), visit('b')], told('body')), 'a');
        PatientTasks.sick.clear();
        const calls = await Promise.all(
          Array.from({ length: 5 }, () => workflows().redrive(handle.id, { after: 0 })),
        );
        expect(calls.map(({ generation }) => generation)).toEqual([1, 1, 1, 1, 1]);
        expect(calls.filter(({ begun }) => begun)).toHaveLength(1);
        expect(await handle.get()).toEqual(['a', 'b']);
        await stage().app.quiet();
        expect(ran()).toEqual(['a g1', 'body g1 [0]']);
        expect(await workflows().redrive(handle.id, { after: 0 })).toMatchObject({
          generation: 1,
          begun: false,
        });
      });

      it('while it runs: is refused', async () => {
        const held = stage().call('held'); // its door is what the step before returns
        const handle = await runSick(group(visit('a'), chain(visit('b'), held)), 'b');
        PatientTasks.sick.clear();
        await workflows().redrive(handle.id);
        await expect(workflows().redrive(handle.id)).rejects.toMatchObject({
          code: 'REDRIVE_REFUSED',
          reason: 'running',
          message: expect.stringMatching(/generation 1 has not ended/),
        });
        stage().diary.open('b');
        expect(await handle.get()).toEqual(['a', 'b']);
      });
    });

    describe('is refused', () => {
      const refusal = (id: string, options?: object) =>
        workflows()
          .redrive(id, options)
          .then(
            () => undefined,
            (error: { code: string; reason?: string }) => error.reason ?? error.code,
          );

      it('for what is unknown, stands alone, is a part, has succeeded, or was revoked', async () => {
        expect(await refusal('0~nobody')).toBe('RESULT_UNKNOWN');
        const alone = await runSick(visit('a'), 'a');
        expect(await refusal(alone.id)).toBe('task');
        const tree = await runSick(group(group(visit('a')), visit('b')), 'a');
        expect(await refusal(`${tree.id}.0`)).toBe('part');
        const fine = await runSick(group(visit('a')));
        expect(await refusal(fine.id)).toBe('succeeded');
        const revoked = await stage().publish(group(stage().call('held', 'never'), visit('b')));
        await revoked.revoke({ terminate: true });
        await revoked.get({ propagate: false });
        await stage().app.quiet();
        expect(await refusal(revoked.id)).toBe('revoked');
        expect(await refusal(tree.id, { after: 1 })).toBe('INVALID_OPTIONS');
        expect(await refusal(tree.id, { after: -1 })).toBe('INVALID_OPTIONS');
        expect(await refusal(tree.id, { generation: 1 })).toBe('INVALID_OPTIONS');
        await fine.forget();
        expect(await refusal(fine.id)).toBe('RESULT_UNKNOWN');
      });

      it('for what failed because it was revoked, member by member; the others are run again', async () => {
        const delayed = stage().call('visit', 'late') as unknown as { set(options: object): object };
        PatientTasks.sick = new Set(['b']);
        const handle = await stage().publish(group(visit('a'), visit('b'), delayed.set({ countdown: '1h' })));
        await workflows().result(`${handle.id}.2`).revoke();
        await handle.get({ propagate: false });
        await stage().app.quiet();
        const { rerun, left } = await redrive(handle);
        expect(rerun).toEqual([`${handle.id}.1`]);
        expect(left).toEqual([`${handle.id}.2`]);
        expect(await handle.state()).toBe('REVOKED');
        expect(await refusal(handle.id)).toBe('gone');
      });

      it('for a recovered chord of which members were revoked and removed while they waited, and none is kept', async () => {
        const options = { recovery: CallbackWithSuccesses };
        const handle = await stage().publish(
          chord([visit('a'), later('b'), later('c')], told('body'), options),
        );
        await withdraw(handle, 1, 2);
        expect(await handle.get()).toEqual(['a']);
        await stage().app.quiet();
        expect(await handle.describe()).toMatchObject({ state: 'SUCCESS', recovered: { failed: 2 } });
        expect(await refusal(handle.id)).toBe('gone');
      });
    });

    it('of a task that nobody knows by now ends as such a task does', async () => {
      const handle = await runSick(group(stage().call('visit', 'a'), visit('b')), 'a');
      const gone = workflows().signature('forgotten', [], { queue: 'default' });
      const other = await stage().run(group(visit('c'), gone));
      await redrive(other);
      expect(await other.failure()).toMatchObject({
        request: { generation: 1 },
        failures: [{ failure: { error: { code: 'UNKNOWN_TASK' } } }],
      });
      await redrive(handle);
      expect(await handle.get()).toEqual(['a', 'b']);
    });
  });
}
