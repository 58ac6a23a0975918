import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { currentTask, type JsonValue, Task, Tolerate, WorkflowService } from 'nestjs-task-queue';
import type { ControlMessage } from '../../libs/task-queue/src/backend/control.js';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';
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

type Revoking = Extract<ControlMessage, { revoke: string }>;

/** Whoever clears up after a closing, is paused meanwhile, and goes on in the next generation. */
export function overtakenClosingCases(world: World): void {
  describe('a worker that is paused while it clears up after a closing', () => {
    const it_ = useStage(world, {}, [HeldTasks]);
    const stage = () => it_.stage;
    const diary = () => stage().diary;
    const engine = () => stage().app.get(TaskQueueEngine);
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
    /** Loses what is said to workers about this one, and keeps it: what a worker says later that is paused now. */
    function keepWhatIsSaid(): Revoking[] {
      const kept: Revoking[] = [];
      const { control } = engine();
      const send = control.send.bind(control);
      jest.spyOn(control, 'send').mockImplementation(async (message) => {
        if ('revoke' in message) kept.push(message);
        else await send(message);
      });
      return kept;
    }
    afterEach(() => {
      HeldTasks.replaces = false;
      jest.restoreAllMocks();
    });

    it('ends no run of the next generation', async () => {
      const kept = keepWhatIsSaid();
      const handle = await closed('terminate');
      expect(kept).toMatchObject([{ revoke: `${handle.id}.0`, terminate: true }]);
      jest.restoreAllMocks();
      diary().open('a g0');
      await redrive(handle);
      for (const message of kept) await engine().control.send(message);
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
      await engine().ledger.markRevoked(`${handle.id}.0`, undefined);
      await engine().control.send({ revoke: `${handle.id}.0`, terminate: true });
      await until(
        async () => (await stage().workflows.result(`${handle.id}.0`).state()) === 'REVOKED',
        'it has ended',
      );
      await finish(handle);
    });

    it('revokes no canvas that has taken the place of a task in the next generation', async () => {
      const handle = await closed('leave');
      const { revocation, backend } = engine();
      const { jobs } = backend;
      const find = jobs.find.bind(jobs);
      let goOn = (): void => undefined;
      const isThere = new Promise<void>((resolve) => {
        jest.spyOn(jobs, 'find').mockImplementationOnce(async (job) => {
          resolve();
          await new Promise<void>((go) => (goOn = go));
          return find(job);
        });
      });
      const paused = revocation.cancelStragglers({ id: handle.id, generation: 0 }, { terminate: true });
      await isThere;
      HeldTasks.replaces = true;
      diary().open('a g0');
      await redrive(handle);
      await until(() => diary().count('in its place') === 2, 'others have taken their places');
      goOn();
      await paused;
      expect(await finish(handle)).toEqual(['a', 'b']);
    });
  });
}
