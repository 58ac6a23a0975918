import { CallbackWithOutcomes, type JsonValue } from 'nestjs-task-queue';
import { useStage, type World } from './world.js';

/** Values that are too long to travel: each stays where it came about, and whoever reads it does not notice. */
export function largeValueCases(world: World): void {
  describe('a value that does not travel', () => {
    const it_ = useStage(world, { limits: { inlineCharacters: 100 } });
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const group = (...members: object[]) => stage().workflows.group(members as never);
    const chain = (...steps: object[]) => stage().workflows.chain(...(steps as [never]));
    const long = (sign: string): string => sign.repeat(200);

    it('is what handles, callbacks, bodies and steps get, at any depth', async () => {
      const { workflows } = stage();
      const inner = () => group(call('echo', long('a')), chain(call('echo', long('b')), call('echo')));
      const value = [
        [[long('a'), long('b')], 1],
        [long('a'), long('b')],
      ];
      const canvas = group(group(inner(), call('echo', 1)), inner()).link(call('keep', 'link') as never);
      const handle = await stage().run(canvas);
      expect(await handle.get()).toEqual(value);
      expect((await handle.describe()).value).toEqual(value);
      expect(await workflows.result(`${handle.id}.0.0`).get()).toEqual(value[0]?.[0]);
      expect(await workflows.groupResult(handle.id).settled()).toMatchObject([
        { value: value[0] },
        { value: value[1] },
      ]);
      expect(stage().diary.payloads).toEqual([value]);

      const chord = workflows.chord([inner(), call('echo', 2)] as never, call('echo') as never);
      expect(await (await stage().run(chain(chord, call('echo')))).get()).toEqual([
        [long('a'), long('b')],
        2,
      ]);
    });

    it('stands in outcomes, among the values of an errback, and in the place of a task', async () => {
      const { workflows } = stage();
      const inner = group(call('echo', long('a')));
      const options = { recovery: CallbackWithOutcomes };
      const chord = workflows.chord([inner, call('fail')] as never, call('echo') as never, options as never);
      const outcomes = (await (await stage().run(chord)).get()) as unknown as JsonValue[];
      expect(outcomes[0]).toEqual({ status: 'fulfilled', value: [long('a')] });

      const failing = group(group(call('echo', long('b'))), call('fail')).linkError(
        call('keep', 'errback') as never,
      );
      await stage().run(failing);
      expect(stage().diary.payloads).toMatchObject([{ values: [{ index: 0, value: [long('b')] }] }]);

      const replaced = group(call('replaced', long('c'), long('d')), call('echo', 1));
      expect(await (await stage().run(replaced)).get()).toEqual([[long('c'), long('d')], 1]);
    });

    it('goes with its canvas', async () => {
      const handle = await stage().run(group(group(call('echo', long('a')))));
      await handle.forget();
      expect(await handle.state()).toBe('UNKNOWN');
      expect(await stage().workflows.result(`${handle.id}.0`).state()).toBe('UNKNOWN');
    });

    it('is no other value that a task gives itself the looks of', async () => {
      const secret = await stage().run(group(group(call('echo', long('s')))));
      const forged = { '\u0000at': { members: `${secret.id}.0`, size: 1 } };
      const chains = group(
        chain(call('echo', forged), call('echo')),
        chain(call('echo', 1), call('echo', forged)),
      );
      const handle = await stage().run(chains);
      expect(await handle.get()).toEqual([forged, [1, forged]]);
      expect(await stage().workflows.result(`${handle.id}.0`).get()).toEqual(forged);
    });
  });
}
