import { Injectable } from '@nestjs/common';
import { currentTask, type JsonValue, Task, WorkflowService } from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { type Handle, until, useStage, type World } from './world.js';

@Injectable()
class BecomingTasks {
  /** Names of those that fail. */
  static sick = new Set<string>();

  constructor(
    private readonly diary: Diary,
    private readonly workflows: WorkflowService,
  ) {}

  @Task({ name: 'calls' })
  calls(name: string): string {
    this.diary.write(`${name} g${currentTask().redriven?.generation ?? 0}`);
    if (BecomingTasks.sick.has(name)) throw new RangeError(name);
    return name;
  }

  @Task({ name: 'ends' })
  ends(values: JsonValue): JsonValue {
    this.diary.write(`body g${currentTask().redriven?.generation ?? 0}`);
    return values;
  }

  /** Is replaced by what waits for an hour. */
  @Task({ name: 'postpones' })
  postpones(): JsonValue {
    const calls = this.workflows.signature('calls', ['x']) as unknown as { set(options: object): object };
    return currentTask().replace(calls.set({ countdown: '1h' }) as never);
  }

  /** Is replaced by a chord; after the first time by none where it says so. */
  @Task({ name: 'gathers' })
  gathers(...names: string[]): JsonValue {
    this.diary.write('gathers');
    const { redriven } = currentTask();
    if (redriven !== undefined && names.includes('alone')) return 'alone';
    const header = names.map((name) => this.workflows.signature('calls', [name]));
    const body = this.workflows.signature('ends', []);
    return currentTask().replace(this.workflows.chord(header as never, body as never) as never);
  }

  /** Is replaced by a task. */
  @Task({ name: 'refers' })
  refers(name: string): JsonValue {
    this.diary.write('refers');
    return currentTask().replace(this.workflows.signature('calls', [name]) as never);
  }
}

/** New generations of tasks in whose place a canvas came, with no canvas around them. */
export function redriveReplacedCases(world: World): void {
  describe('a redrive of a task that stood alone and was replaced', () => {
    const it_ = useStage(world, {}, [BecomingTasks]);
    const stage = () => it_.stage;
    const workflows = () => stage().workflows;
    const ran = (): string[] => stage().diary.entries;
    /** Runs a task while some of those that take its place fail. */
    const runSick = async (call: object, ...sick: string[]): Promise<Handle> => {
      BecomingTasks.sick = new Set(sick);
      const handle = await stage().run(call);
      stage().diary.entries.length = 0;
      return handle;
    };
    const redrive = async (handle: Handle, ...sick: string[]) => {
      BecomingTasks.sick = new Set(sick);
      const outcome = await workflows().redrive(handle.id);
      expect(outcome.begun).toBe(true);
      await handle.get({ propagate: false });
      await stage().app.quiet();
      return outcome;
    };
    afterEach(() => (BecomingTasks.sick = new Set()));
    const letters = () => workflows().deadLetters;
    const reasonOf = (id: string, options = {}): Promise<string | undefined> =>
      workflows()
        .redrive(id, options)
        .then(
          () => undefined,
          (error: { code: string; reason?: string }) => error.reason ?? error.code,
        );

    it('runs it again as a whole, as often as it takes', async () => {
      const handle = await runSick(stage().call('gathers', 'a', 'b'), 'a', 'b');
      expect(await redrive(handle, 'b')).toMatchObject({ generation: 1, rerun: [handle.id], left: [] });
      expect(await handle.state()).toBe('FAILURE');
      stage().diary.entries.length = 0;
      expect(await redrive(handle)).toMatchObject({ generation: 2, rerun: [handle.id] });
      expect([...ran()].sort()).toEqual(['a g2', 'b g2', 'body g2', 'gathers']);
      expect(await handle.get()).toEqual(['a', 'b']);
      expect(await reasonOf(handle.id)).toBe('succeeded');
    });

    it('once for each generation, whoever asks for it', async () => {
      const handle = await runSick(stage().call('refers', 'r'), 'r');
      BecomingTasks.sick.clear();
      const asked = Array.from({ length: 5 }, () => workflows().redrive(handle.id, { after: 0 }));
      const outcomes = await Promise.all(asked);
      expect(outcomes.filter(({ begun }) => begun)).toHaveLength(1);
      expect(outcomes.map(({ generation }) => generation)).toEqual([1, 1, 1, 1, 1]);
      expect(await handle.get()).toBe('r');
      await stage().app.quiet();
      expect(ran()).toEqual(['refers', 'r g1']);
      expect(await reasonOf(handle.id, { after: 2 })).toBe('INVALID_OPTIONS');
    });

    it('begins with the letter of a task in its place, and need not be replaced again', async () => {
      const handle = await runSick(stage().call('gathers', 'a', 'alone'), 'a');
      const inner = `${handle.id}.replacement.0.0`;
      expect(await reasonOf(inner)).toBe('part');
      BecomingTasks.sick.clear();
      const whole = await letters().retry(inner, { redrive: true });
      expect(whole.id).toBe(handle.id);
      expect(await whole.get()).toBe('alone');
      await stage().app.quiet();
    });

    it('is refused while it runs, and when it was revoked', async () => {
      const handle = await stage().publish(
        workflows().fromData({ kind: 'task', task: 'postpones', args: [] }),
      );
      const isReplaced = async () => (await handle.describe()).state === 'STARTED';
      await until(isReplaced, 'it is replaced');
      await until(async () => (await reasonOf(handle.id)) === 'running', 'what took its place waits');
      await handle.revoke();
      await handle.get({ propagate: false });
      await stage().app.quiet();
      expect(await reasonOf(handle.id)).toBe('revoked');
    });
  });
}
