import { Injectable } from '@nestjs/common';
import { deserialize, serialize } from 'superjson';
import {
  type AttemptError,
  CallbackWithOutcomes,
  type ChordDecision,
  type ChordOutcome,
  ChordRecovery,
  type DeadLetter,
  type ErrorDecision,
  Idempotent,
  OnDeadLetter,
  OnError,
  OnFailure,
  OnSuccess,
  OnTaskEvent,
  Outcomes,
  Retry,
  Task,
  TaskContext,
  type TaskCodec,
  type TaskEvent,
  type TaskFailure,
  type TaskSuccess,
} from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { until, useStage, type World } from './world.js';

export const superjson: TaskCodec = { id: 'superjson', encode: serialize, decode: deserialize };

/** One of everything that JSON loses. */
export interface Rich {
  readonly at: Date;
  readonly prices: Map<string, bigint>;
  readonly tags: Set<string>;
  readonly nothing: undefined;
}

export const rich = (label: string): Rich => ({
  at: new Date(Date.UTC(2026, 0, 2)),
  prices: new Map([[label, 12_345_678_901_234_567_890n]]),
  tags: new Set([label]),
  nothing: undefined,
});

class Refused extends Error {
  override name = 'Refused';
  constructor(
    readonly since: Date,
    readonly owed: bigint,
  ) {
    super('refused');
  }
}

/** What handlers, hooks and strategies were given. */
@Injectable()
class Heard {
  readonly all: unknown[] = [];
}

@Injectable()
class FirstOfThem extends ChordRecovery {
  constructor(private readonly heard: Heard) {
    super();
  }

  recover(outcome: ChordOutcome): ChordDecision {
    this.heard.all.push(outcome.successes.map(({ value }) => value));
    return { run: 'callback', args: [outcome.successes[0]?.value] as never };
  }
}

@Injectable()
class RichTasks {
  constructor(
    private readonly heard: Heard,
    private readonly diary: Diary,
  ) {}

  @Task({ name: 'rich.same' })
  same(value: unknown, ...more: unknown[]): unknown {
    this.heard.all.push(value);
    return more.length === 0 ? value : [value, ...more];
  }

  @Task({ name: 'rich.isRich' })
  isRich(value: unknown): boolean {
    const { at, prices, tags } = value as Rich;
    return at instanceof Date && prices instanceof Map && tags instanceof Set;
  }

  @Task({ name: 'rich.tells' })
  async tells(at: Date, task: TaskContext): Promise<void> {
    await task.progress({ at });
  }

  @Task({ name: 'rich.pages' })
  async pages(members: Outcomes<Rich>): Promise<string[]> {
    const kinds: string[] = [];
    for await (const { at } of members.values()) kinds.push(at.constructor.name);
    return kinds;
  }

  @Task({ name: 'rich.refuses' })
  refuses(_value: unknown): never {
    throw new Refused(new Date(0), 7n);
  }

  @Task({ name: 'rich.mended' })
  mended(value: Date | undefined): Date {
    if (value === undefined) throw new Refused(new Date(0), 7n);
    return value;
  }

  @Task({ name: 'rich.again' })
  @Retry({ maxRetries: 2, backoff: { type: 'fixed', delay: 0 } })
  again(at: Date, task: TaskContext): Date {
    if (at.getTime() === 1) return at;
    task.retry({ countdown: 0, args: [new Date(1)] });
  }

  @Task({ name: 'rich.once' })
  @Idempotent({ key: (at: Date) => at.toISOString() })
  once(at: Date): Date {
    this.diary.write('once');
    return at;
  }

  @Task({ name: 'rich.limited', rateLimit: { limit: 100, per: '1s', key: (at: Date) => at.toISOString() } })
  limited(at: Date): Date {
    return at;
  }

  @Task({ name: 'rich.becomes' })
  becomes(task: TaskContext): never {
    task.replace({ toJSON: () => ({ kind: 'task', task: 'rich.same', args: [new Date(3)] }) } as never);
  }

  @Task({ name: 'rich.adds' })
  async adds(task: TaskContext): Promise<Date> {
    await task.addToGroup({
      toJSON: () => ({ kind: 'task', task: 'rich.same', args: [new Date(4)] }),
    } as never);
    return new Date(3);
  }

  @Task({ name: 'rich.ignored' })
  ignored(_at: Date): never {
    throw new Refused(new Date(0), 7n);
  }

  @Task({ name: 'rich.symbol' })
  symbol(): unknown {
    return new Proxy({}, { ownKeys: () => fail('cannot be read') });
  }

  @OnError('ignored')
  onError({ error, request }: AttemptError): ErrorDecision {
    this.heard.all.push(error, request.args);
    return { do: 'ignore', value: new Date(9) as never };
  }

  @OnFailure('refuses')
  onFailure({ request, error }: TaskFailure): void {
    this.heard.all.push({ hook: request.args, data: error.data });
  }

  @OnSuccess('limited')
  onSuccess({ args, value }: TaskSuccess): void {
    this.heard.all.push({ hook: args, value });
  }

  @OnTaskEvent('progress')
  onProgress(event: TaskEvent): void {
    if (event.type === 'progress') this.heard.all.push({ event: event.progress });
  }

  @Task({ name: 'rich.bury' })
  @OnDeadLetter('refuses')
  bury({ failure }: DeadLetter): void {
    this.heard.all.push({ letter: failure.request.args, data: failure.error.data });
  }
}

function fail(message: string): never {
  throw new Error(message);
}

/** Values that JSON loses, at every door where values come in or go out. */
export function codecCases(world: World): void {
  describe('with a codec', () => {
    const it_ = useStage(world, { codec: superjson, errors: [Refused] }, [Heard, RichTasks, FirstOfThem]);
    const stage = () => it_.stage;
    const workflows = () => stage().workflows;
    const heard = () => stage().app.get(Heard).all;
    const call = (task: string, ...args: unknown[]) => workflows().signature<unknown>(`rich.${task}`, args);
    const run = (canvas: object, options: object = {}) => stage().run(canvas, options);

    it('arguments and results are what they were', async () => {
      const handle = await run(call('same', rich('a'), undefined, [new Date(1)], 'text', 1, null));
      expect(await handle.get()).toEqual([rich('a'), undefined, [new Date(1)], 'text', 1, null]);
      expect(heard()).toEqual([rich('a')]);
      expect((await handle.describe()).value).toEqual(await handle.result());
    });

    it('values go from step to step, from members to the body and to callbacks', async () => {
      const body = call('same', new Date(2));
      const chord = workflows().chord([call('same', rich('a')), call('same', rich('b'))], body as never);
      expect(await (await run(chord)).get()).toEqual([[rich('a'), rich('b')], new Date(2)]);
      const chain = workflows().chain(call('same', rich('c')), call('isRich') as never);
      expect(await (await run(chain)).get()).toBe(true);
      const nested = workflows().group([
        workflows().group([call('same', new Date(1)), call('same', new Date(2))]),
      ] as never);
      const linked = (nested as never as { link(callback: object): object }).link(call('same'));
      expect(await (await run(linked)).get()).toEqual([[new Date(1), new Date(2)]]);
      expect(heard().at(-1)).toEqual([[new Date(1), new Date(2)]]);
    });

    it('a group and its members give them, whatever asks', async () => {
      const group = workflows().group([call('same', rich('a')), call('refuses', new Date(5))]);
      const handle = await group.applyAsync([]);
      const [first, second] = await handle.settled();
      expect(first).toEqual({ status: 'fulfilled', value: rich('a') });
      expect(second).toMatchObject({
        reason: { request: { args: [new Date(5)] }, error: { data: { since: new Date(0), owed: 7n } } },
      });
      const [value, error] = (await handle.get({ propagate: false })) as unknown[];
      expect(value).toEqual(rich('a'));
      expect(error).toMatchObject({ since: new Date(0), owed: 7n });
      for await (const member of handle.outcomes()) {
        if (member.status === 'fulfilled') expect(member.value).toEqual(rich('a'));
      }
      await expect(handle.get()).rejects.toMatchObject({ values: [{ index: 0, value: rich('a') }] });
    });

    it('a body reads them page by page, or as outcomes, and so does an errback', async () => {
      const header = [call('same', rich('a')), call('same', rich('b'))];
      expect(await (await run(workflows().chord(header, call('pages') as never))).get()).toEqual([
        'Date',
        'Date',
      ]);
      const mixed = [call('same', rich('a')), call('refuses', new Date(5))];
      const recovered = workflows().chord(mixed, call('same') as never, { recovery: CallbackWithOutcomes });
      expect(await (await run(recovered)).get()).toMatchObject([
        { status: 'fulfilled', value: rich('a') },
        { status: 'rejected', reason: { request: { args: [new Date(5)] } } },
      ]);
      heard().length = 0;
      const failing = workflows().chord(mixed, call('same') as never);
      await run((failing as never as { linkError(errback: object): object }).linkError(call('same')));
      expect(heard()).toContainEqual(
        expect.objectContaining({
          failures: [
            expect.objectContaining({
              index: 1,
              failure: expect.objectContaining({
                request: expect.objectContaining({ args: [new Date(5)] }) as object,
              }) as object,
            }),
          ],
          values: [{ index: 0, value: rich('a') }],
        }),
      );
    });

    it("a recovery of one's own is asked about them and answers with them", async () => {
      const mixed = [call('same', rich('a')), call('refuses', new Date(5))];
      const chord = workflows().chord(mixed, call('same') as never, { recovery: FirstOfThem });
      expect(await (await run(chord)).get()).toEqual(rich('a'));
      expect(heard()).toContainEqual([rich('a')]);
    });

    it('an error keeps its own properties, and hooks and dead letters show what failed', async () => {
      const handle = await run(call('refuses', rich('a')));
      const error = await handle.get({ propagate: false });
      expect(error).toBeInstanceOf(Refused);
      expect(error).toMatchObject({ since: new Date(0), owed: 7n });
      const data = { since: new Date(0), owed: 7n };
      await until(() => heard().length >= 2, 'the hook and the handler of the letter have run');
      expect(heard()).toContainEqual({ hook: [rich('a')], data });
      expect(heard()).toContainEqual({ letter: [rich('a')], data });
      const letter = await workflows().deadLetters.get(handle.id);
      expect(letter?.failure.request.args).toEqual([rich('a')]);
      expect(letter?.failure.error.data).toEqual(data);
    });

    it('a dead letter is run again with the arguments that it had, or with others', async () => {
      const { deadLetters } = workflows();
      const one = await run(call('refuses', rich('a')));
      const again = await deadLetters.retry(one.id);
      await again.get({ propagate: false });
      expect((await deadLetters.get(again.id))?.failure.request.args).toEqual([rich('a')]);
      const other = await run(call('mended', undefined, 1));
      const edited = await deadLetters.retry(other.id, { args: [new Date(6)] });
      expect(await edited.get()).toEqual(new Date(6));
    });

    it('a map runs for each item, and a list that a task returned is a list of items', async () => {
      const { same } = workflows().tasks(RichTasks);
      const items = [new Date(1), rich('a')];
      expect(await (await run(same.map(items))).get()).toEqual(items);
      const pairs: [Date, bigint][] = [
        [new Date(1), 2n],
        [new Date(3), 4n],
      ];
      expect(await (await run(same.starmap(pairs))).get()).toEqual(pairs);
      const settled = await run(same.map(items, { settle: true }));
      expect(await settled.get()).toEqual(items.map((value) => ({ status: 'fulfilled', value })));
      const chain = workflows().chain(call('same', items), same.map() as never);
      expect(await (await run(chain)).get()).toEqual(items);
      const calls = workflows().chain(call('same', pairs), same.starmap() as never);
      expect(await (await run(calls)).get()).toEqual(pairs);
    });

    it('progress, and what is told of it', async () => {
      const handle = await run(call('tells', new Date(8)));
      expect(await handle.progress()).toEqual({ at: new Date(8) });
      await until(() => heard().length > 0, 'the event was told');
      expect(heard()).toEqual([{ event: { at: new Date(8) } }]);
    });

    it('a retry with other arguments, a hook that answers with a value', async () => {
      expect(await (await run(call('again', new Date(0)))).get()).toEqual(new Date(1));
      expect(await (await run(call('ignored', new Date(2)))).get()).toEqual(new Date(9));
      expect(heard()).toEqual([expect.any(Refused), [new Date(2)]]);
    });

    it('keys of calls and of rate limits are made of what the task gets', async () => {
      const at = new Date(Date.UTC(2026, 1, 3));
      const [one, other] = [await run(call('once', at)), await run(call('once', at))];
      expect([await one.get(), await other.get()]).toEqual([at, at]);
      expect(stage().diary.count('once')).toBe(1);
      expect(await (await run(call('limited', at))).get()).toEqual(at);
      await until(() => heard().length > 0, 'the hook has run');
      expect(heard()).toEqual([{ hook: [at], value: at }]);
    });

    it('canvases that a task puts in its place, or adds to its group', async () => {
      expect(await (await run(call('becomes'))).get()).toEqual(new Date(3));
      const group = workflows().group([call('adds'), call('same', 1)]);
      expect(await (await run(group)).get()).toEqual([new Date(3), 1, new Date(4)]);
    });

    it('a header that is read while it is published', async () => {
      const source = async function* () {
        for (let n = 0; n < 3; n++) yield call('same', new Date(n));
      };
      const chord = workflows().chord(source(), call('same') as never);
      expect(await (await chord.applyAsync([])).get()).toEqual([new Date(0), new Date(1), new Date(2)]);
    });

    it('limits count what the codec writes', async () => {
      await it_.start({ limits: { argumentBytes: 2_000, resultBytes: 1_000 } });
      const dates = Array.from({ length: 60 }, (_, n) => new Date(n));
      const refused = { code: 'ARGUMENT_TOO_LARGE', taskName: 'rich.same' };
      await expect(stage().publish(call('same', dates))).rejects.toMatchObject(refused);
      const result = await run(call('same', dates.slice(0, 35)));
      await expect(result.get()).rejects.toMatchObject({ code: 'RESULT_TOO_LARGE' });
    });

    it('what the codec refuses is refused by the name of its task and its path', async () => {
      const broken = new Proxy({}, { ownKeys: () => fail('cannot be read') });
      const chain = workflows().chain(call('same', 1), call('same', new Date(0), broken) as never);
      await expect(stage().publish(chain)).rejects.toMatchObject({
        code: 'UNSERIALIZABLE_ARGUMENT',
        taskName: 'rich.same',
        path: 'steps[1].args[1]',
        message: expect.stringContaining('the codec "superjson" refuses: cannot be read') as string,
      });
      await expect((await run(call('symbol'))).get()).rejects.toMatchObject({
        code: 'UNSERIALIZABLE_RESULT',
        message: expect.stringContaining('codec "superjson"') as string,
      });
    });
  });
}
