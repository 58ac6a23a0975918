import { ArgumentTooLargeError, CanvasTooLargeError } from 'nestjs-task-queue';
import { type Fluent, useStage, type World } from './world.js';

/** How large the parts of a canvas may be. */
export function compositionCases(world: World): void {
  describe('limits', () => {
    const limits = { argumentBytes: 2_000, resultBytes: 1_000, canvasBytes: 3_000 };
    const it_ = useStage(world, { limits });
    const stage = () => it_.stage;
    const text = (length: number): string => 'x'.repeat(length);
    const chain = (...steps: object[]): Fluent =>
      stage().workflows.chain(...(steps as never)) as unknown as Fluent;

    it('too large an argument is refused where it is published, with its path and size; nothing runs', async () => {
      const canvas = chain(stage().call('note', 'first'), stage().call('note', 'small', text(2_000)));
      await expect(stage().publish(canvas, { taskId: 'large-one' })).rejects.toMatchObject({
        code: 'ARGUMENT_TOO_LARGE',
        taskName: 'note',
        path: 'steps[1].args[1]',
        bytes: 2_012,
        limit: 2_000,
      });
      await expect(stage().publish(canvas)).rejects.toBeInstanceOf(ArgumentTooLargeError);
      await stage().app.quiet();
      expect(await stage().workflows.result('large-one').state()).toBe('UNKNOWN');
      expect(stage().diary.entries).toEqual([]);
    });

    it('a canvas that keeps too much for later is refused in the same way', async () => {
      const steps = Array.from({ length: 6 }, (_, index) => stage().call('note', index, text(700)));
      await expect(stage().publish(chain(...steps))).rejects.toBeInstanceOf(CanvasTooLargeError);
      expect(stage().diary.entries).toEqual([]);
    });

    it('too large a result fails its task, which is not tried again', async () => {
      const handle = await stage().run(
        stage().call('echo', text(1_000)).linkError(stage().call('keep', 'errback')),
      );
      expect(await handle.failure()).toMatchObject({
        reason: 'error',
        error: { name: 'ResultTooLargeError', code: 'RESULT_TOO_LARGE' },
      });
      await expect(handle.get()).rejects.toThrow('most of it at result; the limit is 1000');
      expect(stage().diary.entries).toEqual(['errback']);
    });

    it('the list of a group has no limit of its own', async () => {
      const members = Array.from({ length: 5 }, () => stage().call('echo', text(900)));
      const handle = await stage().run(stage().workflows.group(members as never));
      expect(await handle.get()).toEqual(members.map(() => text(900)));
    });

    it('of a replacement are those of the application that runs the task', async () => {
      const handle = await stage().run(stage().call('replaced', text(990), text(990)));
      expect(await handle.get()).toEqual([text(990), text(990)]);
      const large = await stage().run(stage().call('replacedBy', 2_500));
      expect(await large.failure()).toMatchObject({ error: { code: 'ARGUMENT_TOO_LARGE' } });
    });
  });
}
