import { Injectable } from '@nestjs/common';
import {
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  currentTask,
  HeaderOutcomes,
  type JsonValue,
  Outcomes,
  Task,
} from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { useStage, type World } from './world.js';

@Injectable()
export class OutcomesTasks {
  #isOut = false;

  constructor(private readonly diary: Diary) {}

  outOfOrder(isOut: boolean): void {
    this.#isOut = isOut;
  }

  @Task({ name: 'outcomes.read' })
  async read(outcomes: Outcomes<number>, label: string): Promise<JsonValue> {
    this.diary.write(`read ${label}`);
    if (this.#isOut) throw new RangeError('out of order');
    return summaryOf(outcomes);
  }

  /** As in a build that emits no types: the decorator alone says what the first parameter is. */
  @Task({ name: 'outcomes.decorated' })
  async decorated(@HeaderOutcomes() outcomes: unknown, label: string): Promise<JsonValue> {
    return [label, outcomes instanceof Outcomes, await summaryOf(outcomes as Outcomes), currentTask().name];
  }
}

async function summaryOf(outcomes: Outcomes<unknown>): Promise<JsonValue> {
  const seen: JsonValue[] = [];
  for await (const member of outcomes) {
    seen.push(member.status === 'fulfilled' ? (member.value as JsonValue) : member.failure.error.message);
  }
  return [outcomes.size, ...seen];
}

/** Bodies that read what their header came to. */
export function outcomesCases(world: World): void {
  describe('the outcomes of a header', () => {
    const it_ = useStage(world, {}, [OutcomesTasks]);
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const tasks = () => stage().workflows.tasks(OutcomesTasks);

    it.each([undefined, CallbackWithOutcomes, CallbackWithSuccesses])(
      'go to the parameter that @HeaderOutcomes() stands on, under recovery %p',
      async (recovery) => {
        const header = [call('echo', 1), ...(recovery === undefined ? [] : [call('fail')]), call('echo', 3)];
        const body = stage().workflows.signature('outcomes.decorated', ['x']);
        const options = recovery === undefined ? {} : { recovery };
        const chord = stage().workflows.chord(header as never, body as never, options as never);
        const seen = recovery === undefined ? [2, 1, 3] : [3, 1, 'failed', 3];
        expect(await (await stage().run(chord)).get()).toEqual(['x', true, seen, 'outcomes.decorated']);
      },
    );

    it('may be a list, of values or of settled outcomes', async () => {
      const ofValues = await tasks().read.delay([1, 2], 'values');
      expect(await ofValues.get()).toEqual([2, 1, 2]);
      const members = [call('echo', 5), call('fail')];
      const group = await stage().run(stage().workflows.group(members as never));
      const settled = await stage().workflows.groupResult<number>(group.id).settled();
      const ofOutcomes = await tasks().read.delay(settled, 'outcomes');
      expect(await ofOutcomes.get()).toEqual([2, 5, 'failed']);
      expect(await (await tasks().read.delay([], 'none')).get()).toEqual([0]);
    });

    it('are read again by a retry of the dead letter, as long as the canvas is there', async () => {
      const { deadLetters } = stage().workflows;
      const body = stage().app.get(OutcomesTasks);
      body.outOfOrder(true);
      const header = [call('echo', 1), call('echo', 2)];
      const chord = await stage().run(stage().workflows.chord(header as never, tasks().read.s('r') as never));
      body.outOfOrder(false);
      const { letters } = await deadLetters.list();
      expect(letters).toMatchObject([{ id: `${chord.id}.body`, task: 'outcomes.read' }]);
      const again = await deadLetters.retry(`${chord.id}.body`);
      expect(await again.get()).toEqual([2, 1, 2]);

      body.outOfOrder(true);
      const other = await stage().run(stage().workflows.chord(header as never, tasks().read.s('r') as never));
      await other.forget();
      await expect(deadLetters.retry(`${other.id}.body`)).rejects.toMatchObject({ code: 'RESULT_UNKNOWN' });
    });
  });
}
