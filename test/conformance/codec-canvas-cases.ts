import { Injectable } from '@nestjs/common';
import {
  type ChordOptions,
  type LateOutcomes,
  Outcomes,
  Task,
  TaskContext,
  type WorkflowService,
} from 'nestjs-task-queue';
import { type Rich, rich, superjson } from './codec-cases.js';
import { Diary } from './tasks.js';
import { until, useStage, type World } from './world.js';

const DAY = new Date(Date.UTC(2026, 0, 2));

/** Calls of a canvas that takes a while: some fail until they are redriven, or end behind a door. */
@Injectable()
class PatientRichTasks {
  /** What bodies and callbacks were given. */
  readonly heard: unknown[] = [];

  constructor(private readonly diary: Diary) {}

  @Task({ name: 'patient.same' })
  same(value: unknown): unknown {
    return value;
  }

  @Task({ name: 'patient.hear' })
  hear(value: unknown): unknown {
    this.heard.push(value);
    return value;
  }

  /** Fails until its canvas is redriven. */
  @Task({ name: 'patient.better' })
  better(value: unknown, task: TaskContext): unknown {
    if (task.redriven === undefined) throw new RangeError('not yet');
    this.heard.push(value);
    return value;
  }

  @Task({ name: 'patient.behind' })
  async behind(value: Rich, door: string, task: TaskContext): Promise<Date> {
    await this.diary.pass(door, task.signal);
    return value.at;
  }

  @Task({ name: 'patient.failsBehind' })
  async failsBehind(value: Rich, door: string, task: TaskContext): Promise<never> {
    await this.diary.pass(door, task.signal);
    throw Object.assign(new RangeError('behind a door'), { since: value.at });
  }

  /** A day for each member, read page by page. */
  @Task({ name: 'patient.days' })
  async days(members: Outcomes<Date>): Promise<Set<number>> {
    const days = new Set<number>();
    for await (const day of members.values()) days.add(day.getTime());
    return days;
  }
}

/** Values that JSON loses, in canvases that are wide, that end late, or that run once more. */
export function codecCanvasCases(world: World): void {
  describe('with a codec, a canvas', () => {
    const it_ = useStage(world, { codec: superjson }, [PatientRichTasks]);
    const stage = () => it_.stage;
    const workflows = () => stage().workflows;
    const heard = () => stage().app.get(PatientRichTasks).heard;
    const call = (task: string, ...args: unknown[]) => workflows().signature(`patient.${task}`, args);
    const chord = (header: Parameters<WorkflowService['group']>[0], body: object, options: object = {}) =>
      workflows().chord(header as never, body as never, options as ChordOptions as never);

    it('that is redriven runs with what it had, and its body over all of it', async () => {
      const header = [call('same', rich('a')), call('better', rich('b')), call('same', DAY)];
      const handle = await stage().run(chord(header as never, call('hear')));
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      expect(heard()).toEqual([]);
      expect((await workflows().redrive(handle.id)).rerun).toEqual([`${handle.id}.1`]);
      expect(await handle.get()).toEqual([rich('a'), rich('b'), DAY]);
      expect(heard()).toEqual([rich('b'), [rich('a'), rich('b'), DAY]]);
      await stage().app.quiet();
    });

    it('goes on from one of its dead letters: a step gets what the step before returned', async () => {
      const chain = workflows().chain(
        call('same', rich('a')),
        call('better') as never,
        call('hear') as never,
      );
      const handle = await stage().run(chain);
      await expect(handle.get()).rejects.toThrow('not yet');
      const whole = await workflows().deadLetters.retry(`${handle.id}.1`, { redrive: true });
      expect(await whole.get()).toEqual(rich('a'));
      expect(heard()).toEqual([rich('a'), rich('a')]);
      await stage().app.quiet();
    });

    describe('of more than a thousand members', () => {
      const SIZE = 1_100;
      const days = Array.from({ length: SIZE }, (_, index) => new Date(DAY.getTime() + index));

      it('of a list hands all of them to its body, and to whoever asks', async () => {
        const header = days.map((day) => call('same', day));
        const handle = await stage().run(chord(header as never, call('days')));
        expect(await handle.get()).toEqual(new Set(days.map(Number)));
        const members = await workflows().groupResult(handle.id).settled();
        expect(members.map((member) => 'value' in member && member.value)).toEqual(days);
      });

      it('of a source gives their values in their order', async () => {
        const source = async function* () {
          for (const day of days) yield call('same', day);
        };
        const handle = await stage().run(workflows().group(source, { window: 200 }));
        expect(await handle.get()).toEqual(days);
      });
    });

    describe('whose members come late', () => {
      const deadline = { after: 50, from: 'first-outcome' } as const;

      it('is amended with them', async () => {
        const header = [call('same', rich('a')), call('behind', rich('b'), 'door')];
        const handle = await stage().publish(
          chord(header as never, call('hear'), { deadline, late: 'amend' }),
        );
        expect(await handle.get()).toEqual([rich('a')]);
        stage().diary.open('door');
        await until(async () => (await handle.describe()).generation === 1, 'it is amended');
        expect(await handle.get()).toEqual([rich('a'), rich('b').at]);
        await stage().app.quiet();
        expect(heard()).toEqual([[rich('a')], [rich('a'), rich('b').at]]);
      });

      it('has its callback told of them: values, and what failed with which arguments', async () => {
        const header = [
          call('behind', rich('a'), 'door'),
          call('same', DAY),
          call('failsBehind', rich('b'), 'door 2'),
        ];
        const late = { callback: call('hear') };
        const handle = await stage().publish(chord(header as never, call('same'), { deadline, late }));
        expect(await handle.get()).toEqual([DAY]);
        for (const door of ['door', 'door 2']) stage().diary.open(door);
        await until(() => heard().length > 0, 'the callback has run');
        const [told] = heard() as [LateOutcomes<unknown>];
        expect(told.outcomes).toMatchObject([
          { index: 0, status: 'fulfilled', value: rich('a').at },
          {
            index: 2,
            status: 'rejected',
            reason: { request: { args: [rich('b'), 'door 2'] }, error: { data: { since: rich('b').at } } },
          },
        ]);
        await stage().app.quiet();
      });
    });
  });
}
