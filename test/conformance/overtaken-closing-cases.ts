import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { currentTask, type JsonValue, Task, Tolerate, WorkflowService } from 'nestjs-task-queue';
import { keepWhatIsSaid, mark, pauseAfterMark, say } from '../support/paused-closing.js';
import { Diary } from './tasks.js';
import { type Fluent, type Handle, until, useStage, type World } from './world.js';

@Injectable()
class HeldTasks {
  /** What those in a later generation put in their place. */
  static replaces = false;

  constructor(
    private readonly diary: Diary,
    private readonly workflows: WorkflowService,
  ) {}

  /** Fails in the first generation, when its door is opened; returns in a later one, when that of the generation is. */
  @Task({ name: 'doored' })
  async held(name: string): Promise<JsonValue> {
    const { redriven, signal } = currentTask();
    const generation = redriven?.generation ?? 0;
    const door = `${name} g${generation}`;
    this.diary.write(door);
    if (generation > 0 && HeldTasks.replaces)
      return currentTask().replace(this.workflows.signature('inPlace', [name]) as never);
    await this.diary.pass(door, signal);
    if (generation === 0) throw new RangeError(name);
    return name;
  }

  @Task({ name: 'inPlace' })
  async inPlace(name: string): Promise<string> {
    this.diary.write('in its place');
    await this.diary.pass(`${name} g1`, currentTask().signal);
    return name;
  }
}

/** Whoever clears up after a closing, is paused meanwhile, and goes on in the next generation. */
export function overtakenClosingCases(world: World): void {
  describe('a worker that is paused while it clears up after a closing', () => {
    const it_ = useStage(world, {}, [HeldTasks]);
    const stage = () => it_.stage;
    const diary = () => stage().diary;
    const held = (name: string): Fluent => stage().call('doored', name);

    /** A group whose second member closes it, or a chord, which says what becomes of the rest. */
    async function closed(rest: 'leave' | 'terminate'): Promise<Handle> {
      const handle = await stage().publish(
        stage().workflows.chord([held('a'), held('b')] as never, stage().call('echo') as never, {
          recovery: Tolerate({ count: 0, rest }),
        }),
      );
      await until(() => diary().entries.length === 2, 'both run');
      diary().open('b g0');
      await handle.get({ propagate: false });
      return handle;
    }
    /** The next generation, in which both run. */
    async function redrive(handle: Handle, generation = 1): Promise<void> {
      await stage().app.quiet();
      expect(await stage().workflows.redrive(handle.id)).toMatchObject({ generation, left: [] });
      for (const name of ['a', 'b'])
        await until(() => diary().count(`${name} g${generation}`) === 1, `${name} runs again`);
    }
    async function finish(handle: Handle, generation = 1): Promise<unknown> {
      for (const name of ['a', 'b']) diary().open(`${name} g${generation}`);
      const ended = await handle.get({ propagate: false });
      await stage().app.quiet();
      return ended;
    }
    afterEach(() => {
      HeldTasks.replaces = false;
      jest.restoreAllMocks();
    });

    it('ends no run of the next generation', async () => {
      const kept = keepWhatIsSaid(stage().app);
      const handle = await closed('terminate');
      expect(kept).toMatchObject([{ revoke: `${handle.id}.0`, terminate: true }]);
      jest.restoreAllMocks();
      diary().open('a g0');
      await redrive(handle);
      for (const message of kept) await say(stage().app, message);
      await pause(100); // workers hear it
      expect(await finish(handle)).toEqual(['a', 'b']);
    });

    it('ends those of its own, also in a later one', async () => {
      const handle = await closed('terminate');
      await redrive(handle);
      await stage().workflows.result(`${handle.id}.1`).revoke({ terminate: true });
      await handle.get({ propagate: false });
      await stage().app.quiet();
      expect(await stage().workflows.result(`${handle.id}.0`).state()).toBe('REVOKED');
      await redriveFirst(handle);
    });

    /** What was ended with its header runs again, what somebody revoked does not. */
    async function redriveFirst(handle: Handle): Promise<void> {
      const { rerun, left } = await stage().workflows.redrive(handle.id);
      expect({ rerun, left }).toEqual({ rerun: [`${handle.id}.0`], left: [`${handle.id}.1`] });
      await finish(handle, 2);
    }

    it('of an older version, which does not say for which generation, is heard', async () => {
      const handle = await closed('leave');
      diary().open('a g0');
      await redrive(handle);
      await mark(stage().app, `${handle.id}.0`);
      await say(stage().app, { revoke: `${handle.id}.0`, terminate: true });
      await until(
        async () => (await stage().workflows.result(`${handle.id}.0`).state()) === 'REVOKED',
        'it has ended',
      );
      await finish(handle);
    });

    it('revokes no canvas that has taken the place of a task in the next generation', async () => {
      const handle = await closed('leave');
      const goOn = await pauseAfterMark(stage().app, handle.id);
      HeldTasks.replaces = true;
      diary().open('a g0');
      await redrive(handle);
      await until(() => diary().count('in its place') === 2, 'others have taken their places');
      await goOn();
      expect(await finish(handle)).toEqual(['a', 'b']);
    });
  });
}
