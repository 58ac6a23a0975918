import type { CanvasData, JsonValue } from 'nestjs-task-queue';
import { type Handle, type Stage, until, useStage, type World } from './world.js';

const call = (task: string, ...args: JsonValue[]): CanvasData => ({ kind: 'task', task, args });
const group = (...members: CanvasData[]): CanvasData => ({ kind: 'group', members });
const chain = (...steps: CanvasData[]): CanvasData => ({ kind: 'chain', steps });
const chord = (header: CanvasData[], body: CanvasData): CanvasData => ({ kind: 'chord', header, body });
/** A task in whose place this canvas comes. */
const becomes = (by: CanvasData): CanvasData => call('becomes', by as unknown as JsonValue);

/** How long what took a task's place is kept, whatever its queues are kept in (semantics 20). */
export function replacementCases(world: World): void {
  describe('what took the place of a task', () => {
    const given = useStage(world);
    const publish = (stage: Stage, canvas: CanvasData): Promise<Handle> =>
      stage.publish(stage.workflows.fromData(canvas));
    const run = async (canvas: CanvasData): Promise<Handle> => {
      const handle = await publish(given.stage, canvas);
      await handle.get({ propagate: false });
      await given.stage.app.quiet();
      return handle;
    };
    const statesOf = (handle: Handle, ...parts: string[]): Promise<string[]> =>
      Promise.all(parts.map((part) => given.stage.workflows.result(`${handle.id}${part}`).state()));

    it.each<[string, CanvasData, string[]]>([
      [
        'a member of a header',
        chord([becomes(group(call('echo', 1), call('echo', 2))), call('echo', 3)], call('echo')),
        ['', '.0', '.0.replacement.0', '.0.replacement.0.1', '.body'],
      ],
      [
        'a step, a body, and members inside of what took a place itself',
        chain(
          call('echo', 0),
          becomes(chord([becomes(group(becomes(chain(call('echo', 1), call('echo')))))], call('echo'))),
          chord([call('echo', 1)], becomes(group(call('echo', 5)))),
        ),
        [
          '',
          '.1.replacement.0',
          '.1.replacement.0.0.replacement.0',
          '.1.replacement.0.0.replacement.0.0.replacement.0',
          '.1.replacement.0.0.replacement.0.0.replacement.0.0',
          '.2.body.replacement.0',
        ],
      ],
      [
        'a task that stands alone, twice',
        becomes(becomes(group(call('echo', 1)))),
        ['', '.replacement.0', '.replacement.0.replacement.0', '.replacement.0.replacement.0.0'],
      ],
      [
        'members that failed',
        group(becomes(group(call('fail'), call('echo', 1))), becomes(call('fail'))),
        ['', '.0.replacement.0', '.0.replacement.0.0', '.0.replacement.0.1', '.1', '.1.replacement.0'],
      ],
    ])('is forgotten together with the canvas around it: %s', async (_, canvas, parts) => {
      const handle = await run(canvas);
      expect(await statesOf(handle, ...parts)).not.toContain('UNKNOWN');
      await handle.forget();
      expect(new Set(await statesOf(handle, ...parts))).toEqual(new Set(['UNKNOWN']));
    });

    it('does not expire before the canvas around it, and goes together with that', async () => {
      const stage = await given.start({ defaults: { resultExpires: '1s' } });
      const inner = group(call('echo', 1), becomes(group(call('echo', 2), call('fail'))));
      const handle = await publish(stage, chord([becomes(inner), call('held', 'door')], call('echo')));
      const parts = ['.0.replacement.0', '.0.replacement.0.0', '.0.replacement.0.1.replacement.0'];
      const ended = async (): Promise<boolean> => (await statesOf(handle, '.0'))[0] === 'FAILURE';
      await until(ended, 'what took the place has ended');
      // What ends after it is gone before it.
      for (let later = 0; later < 2; later += 1) {
        const other = await publish(stage, group(call('echo', 1)));
        await other.get();
        await until(async () => (await other.state()) === 'UNKNOWN', 'another canvas has expired');
        expect(await statesOf(handle, ...parts)).toEqual(['FAILURE', 'SUCCESS', 'FAILURE']);
      }
      const failure = await stage.workflows.result(`${handle.id}${parts[2]}`).failure();
      expect(failure?.error.name).toBe('GroupError');
      stage.diary.open('door');
      await until(async () => (await handle.state()) === 'UNKNOWN', 'the canvas has expired');
      expect(new Set(await statesOf(handle, ...parts))).toEqual(new Set(['UNKNOWN']));
    });
  });
}
