import { Injectable } from '@nestjs/common';
import { OnFailure, Task, TaskContext, type TaskFailure } from 'nestjs-task-queue';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';
import { Diary } from './tasks.js';
import { useStage, type World } from './world.js';

@Injectable()
class PassingTasks {
  constructor(private readonly diary: Diary) {}

  /** Fails in the first generation, if it is told to. */
  @Task({ name: 'passes' })
  passes(name: string, isIll: boolean, task: TaskContext): string {
    if (isIll && task.redriven === undefined) throw new RangeError(name);
    return name;
  }

  @OnFailure('passes')
  failed({ request, error }: TaskFailure): void {
    this.diary.write(`hook ${error.message} g${request.generation ?? 0}`);
  }
}

/** What belongs to a generation that is over by then. */
export function generationCases(world: World): void {
  describe('a hook that runs when its canvas has been redriven', () => {
    const it_ = useStage(world, {}, [PassingTasks]);

    it('is called with the failure that it is for, although the task has a value by now', async () => {
      const { stage } = it_;
      const { workflows, diary, app } = stage;
      const group = workflows.group([
        stage.call('passes', 'a', true),
        stage.call('passes', 'b', false),
      ] as never);
      const handle = await stage.run(group);
      const failure = await workflows.result(`${handle.id}.0`).failure();
      await workflows.redrive(handle.id);
      expect(await handle.get()).toEqual(['a', 'b']);
      await app.quiet();
      expect(diary.entries).toEqual(['hook a g0']);
      // Delivered anew, as after a crash; and one of an attempt that ended otherwise after all.
      const { hooks } = app.get(TaskQueueEngine);
      const hook = { v: 1, hook: 'failure', task: 'passes', failure: failure as TaskFailure } as const;
      await hooks.run({ ...hook, taskId: `${handle.id}.0` });
      await hooks.run({ ...hook, taskId: `${handle.id}.1` });
      expect(diary.entries).toEqual(['hook a g0', 'hook a g0']);
    });
  });
}
