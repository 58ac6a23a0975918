import { Injectable } from '@nestjs/common';
import {
  CallbackWithSuccesses,
  currentTask,
  type EventStream,
  type JsonValue,
  OnTaskEvent,
  Retry,
  Task,
  TASK_STATES,
  TaskContext,
  type TaskEvent,
  type TaskProgressEvent,
  type TaskRetryEvent,
  type TaskSuccessEvent,
  WorkflowService,
} from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { type Fluent, type Stage, until, useStage, type World } from './world.js';

/** Hears of everything, as a provider of the application. */
@Injectable()
class Listener {
  readonly events: TaskEvent[] = [];
  readonly states: string[] = [];
  readonly contexts: string[] = [];

  constructor(
    private readonly workflows: WorkflowService,
    private readonly diary: Diary,
  ) {}

  @OnTaskEvent()
  hear(event: TaskEvent): void {
    this.events.push(event);
  }

  @OnTaskEvent('success', 'retry')
  async look({ id, type }: TaskSuccessEvent | TaskRetryEvent): Promise<void> {
    this.states.push(`${type}: ${await this.workflows.result(id).state()}`);
  }

  @OnTaskEvent('progress')
  where({ progress }: TaskProgressEvent): void {
    try {
      this.contexts.push(currentTask().id);
    } catch {
      this.contexts.push(`outside ${JSON.stringify(progress)}`);
    }
  }

  @OnTaskEvent('failure')
  breaks(): never {
    this.diary.write('handler broke');
    throw new Error('an event handler that throws changes nothing');
  }

  types(): string[] {
    return this.events.map(({ type }) => type);
  }
}

@Injectable()
class WatchedTasks {
  @Task({ name: 'tells' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  async tells(failures: number, task: TaskContext): Promise<JsonValue> {
    await task.progress({ percent: 50 });
    if (task.retries < failures) throw Object.assign(new RangeError('not yet'), { code: 'E_NOT_YET' });
    return 'told';
  }
}

/** What is told of tasks and canvases: to providers of the application, and to whoever watches. */
export function eventCases(world: World): void {
  describe('events', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } }, [Listener, WatchedTasks]);
    const stage = (): Stage => it_.stage;
    const call = (task: string, ...args: JsonValue[]): Fluent => stage().call(task, ...args);
    const listener = (): Listener => stage().app.get(Listener);
    const watch = (...args: Parameters<WorkflowService['events']>): Promise<EventStream> =>
      stage().workflows.events(...args);
    /** Handlers run beside their tasks. */
    const heard = (type: string, count = 1): Promise<void> =>
      until(
        () =>
          listener()
            .types()
            .filter((one) => one === type).length >= count,
        `${count} times "${type}"; heard ${listener().types().join()}`,
      );
    /** Reads a stream up to an event of this type. */
    async function readTo(stream: EventStream, type: string): Promise<TaskEvent[]> {
      const events: TaskEvent[] = [];
      for await (const event of stream) {
        events.push(event);
        if (event.type === type) break;
      }
      return events;
    }

    it('of a task, in the order of its life, when what they say is stored', async () => {
      const handle = await stage().run(call('tells', 0), { headers: { trace: 't-1' } });
      await heard('success');
      expect(listener().types()).toEqual(['published', 'received', 'started', 'progress', 'success']);
      const about = { id: handle.id, name: 'tells', queue: 'default', workflowId: handle.id, position: '' };
      const [published, ...attempt] = listener().events;
      expect(published).toEqual({ type: 'published', ...about, at: expect.any(String) as string });
      for (const event of attempt) {
        expect(event).toMatchObject({ ...about, attempt: 1, retries: 0, headers: { trace: 't-1' } });
        expect(new Date(event.at).toISOString()).toBe(event.at);
      }
      expect(attempt[2]).toMatchObject({ progress: { percent: 50 } });
      expect((attempt[3] as TaskSuccessEvent).durationMs).toBeGreaterThanOrEqual(0);
      await until(() => listener().states.length > 0, 'the state has been read');
      expect(listener().states).toEqual(['success: SUCCESS']);
      expect(listener().contexts).toEqual(['outside {"percent":50}']);
    });

    it('of retries and a final failure; a handler that throws changes nothing', async () => {
      const handle = await stage().run(call('tells', 9));
      await heard('failure');
      const attempt = ['received', 'started', 'progress'];
      expect(listener().types()).toEqual(['published', ...attempt, 'retry', ...attempt, 'failure']);
      const error = { name: 'RangeError', message: 'not yet', code: 'E_NOT_YET' };
      expect(listener().events[4]).toMatchObject({
        error,
        reason: 'error',
        delayMs: 1,
        attempt: 1,
        retries: 0,
      });
      expect(listener().events.at(-1)).toMatchObject({ error, reason: 'error', attempt: 2, retries: 1 });
      expect(await handle.state()).toBe('FAILURE');
      expect(stage().diary.count('handler broke')).toBe(1);
    });

    it('of what is refused: received, never started', async () => {
      const blocker = await stage().publish(call('held', 'gate'));
      await until(() => stage().diary.count('held gate') === 1, 'the queue is blocked');
      const expired = await stage().publish(call('ordered', 'never'), { queue: 'narrow', expires: 1 });
      await new Promise((resolve) => setTimeout(resolve, 5));
      stage().diary.open('gate');
      await blocker.get();
      await expect(expired.get()).rejects.toMatchObject({ code: 'TASK_EXPIRED' });
      await heard('failure');
      const own = listener().events.filter(({ id }) => id === expired.id);
      expect(own.map(({ type }) => type)).toEqual(['published', 'received', 'failure']);
      expect(own.at(-1)).toMatchObject({ reason: 'expired' });
    });

    it('of a revocation, where it was made', async () => {
      const handle = await stage().publish(call('note', 'never'), { countdown: '1h' });
      await handle.revoke();
      await heard('revoked');
      expect(listener().types()).toEqual(['published', 'revoked']);
      expect(listener().events.at(-1)).toMatchObject({ attempt: 0, error: { code: 'TASK_REVOKED' } });
    });

    it('of a chain that fails: its step, what is skipped, its errback', async () => {
      const stream = await watch();
      const chain = stage().workflows.chain(
        call('fail') as never,
        call('echo') as never,
        stage().workflows.group([call('echo')] as never) as never,
      ) as unknown as Fluent;
      const handle = await stage().run(chain.linkError(call('keep', 'E')));
      const events = await readTo(stream, 'canvas.failure');
      const told = events.map(({ type, name, position }) => `${type} ${name} ${position}`.trim());
      expect(told.filter((line) => !/keep/.test(line))).toEqual([
        'canvas.published chain',
        'received fail 0',
        'started fail 0',
        'failure fail 0',
        'errback.released chain',
        'skipped echo 1',
        'skipped group 2',
        'canvas.failure chain',
      ]);
      expect(events.find(({ type }) => type === 'errback.released')).toMatchObject({
        released: [`${handle.id}.errback.0`],
      });
      expect(events.find(({ type }) => type === 'skipped')).toMatchObject({ because: handle.id });
    });

    it('of a chord: the release of its body, and that it was recovered', async () => {
      const stream = await watch();
      const chord = (options: object) =>
        stage().workflows.chord(
          [call('echo', 1), call('fail')] as never,
          call('echo') as never,
          options,
        ) as unknown as Fluent;
      const handle = await stage().run(chord({ recovery: CallbackWithSuccesses }).link(call('note')));
      const events = await readTo(stream, 'canvas.success');
      const ofChord = events.filter(({ name }) => name === 'chord');
      expect(ofChord.map(({ type }) => type)).toEqual([
        'canvas.published',
        'chord.released',
        'chord.recovered',
        'callback.released',
        'canvas.success',
      ]);
      expect(ofChord[2]).toMatchObject({
        id: handle.id,
        body: `${handle.id}.body`,
        strategy: 'CallbackWithSuccesses',
        failed: 1,
        size: 2,
      });

      const second = await watch();
      await stage().run(chord({}));
      const failed = (await readTo(second, 'canvas.failure')).filter(({ type }) =>
        /^(?:canvas|chord|sk)/.test(type),
      );
      expect(failed.map(({ type }) => type)).toEqual(['canvas.published', 'skipped', 'canvas.failure']);
      expect(failed.at(-1)).toMatchObject({ failed: 1, error: { code: 'CHORD_FAILED' } });
    });

    it('of a wide group: when its members begin to be there, and when all are', async () => {
      const stream = await watch({ types: ['canvas.published', 'canvas.sealed', 'canvas.success'] });
      const members = Array.from({ length: 1_001 }, () => call('echo', 1));
      const handle = await stage().publish(stage().workflows.group(members as never));
      await handle.get();
      const events = await readTo(stream, 'canvas.success');
      expect(events.map(({ type }) => type)).toEqual(['canvas.published', 'canvas.sealed', 'canvas.success']);
      expect(events[1]).toMatchObject({ id: handle.id, name: 'group', size: 1_001 });
    });

    it('reach a stream as they reach a provider, as far as it asks', async () => {
      const [all, some, other] = await Promise.all([
        watch(),
        watch({ types: ['retry', 'success'], names: ['tells'] }),
        watch({ workflow: 'another' }),
      ]);
      const handle = await stage().run(call('tells', 1));
      const events = await readTo(all, 'success');
      await heard('success');
      expect(events).toEqual(listener().events);
      expect((await readTo(some, 'success')).map(({ type, id }) => [type, id])).toEqual([
        ['retry', handle.id],
        ['success', handle.id],
      ]);
      other.close();
      expect(await readTo(other, 'success')).toEqual([]);
    });

    it('wait for a slow reader up to a bound; what is left out is counted', async () => {
      const stream = await watch({ buffer: 2, types: ['started', 'progress', 'success'] });
      const last = await watch({ types: ['success'] });
      await stage().run(call('tells', 0));
      await readTo(last, 'success');
      expect((await readTo(stream, 'success')).map(({ type }) => type)).toEqual(['progress', 'success']);
      expect(stream.dropped).toBe(1);
    });

    it('end with the loop, the subscription, the signal and the application', async () => {
      const stop = new AbortController();
      const [left, signalled, subscribed, whole] = await Promise.all([
        watch(),
        watch({ signal: stop.signal }),
        watch(),
        watch(),
      ]);
      const seen: string[] = [];
      const subscription = subscribed.asObservable().subscribe(({ type }) => seen.push(type));
      const reading = readTo(signalled, 'never');
      await stage().run(call('echo', 1));
      await readTo(left, 'success');
      expect(left.closed).toBe(true);
      stop.abort();
      expect((await reading).map(({ type }) => type)).toContain('success');
      await until(() => seen.includes('success'), 'the Observable has seen the end');
      subscription.unsubscribe();
      expect(subscribed.closed).toBe(true);
      expect(whole.closed).toBe(false);
      const { workflows } = stage();
      await it_.start({}); // ends the application before
      expect((await readTo(whole, 'never')).map(({ type }) => type)).toContain('success');
      await expect(workflows.events()).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    });

    it('are asked for by names that exist', async () => {
      await expect(watch({ types: ['succeeded' as 'success'] })).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
      });
      await expect(watch({ buffer: 0 })).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
      const closed = await watch({ signal: AbortSignal.abort() });
      expect(closed.closed).toBe(true);
    });
  });

  describe('states', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } }, [WatchedTasks]);

    it('are those of Celery but RECEIVED, whose moment is an event; UNKNOWN is nobody', async () => {
      const { stage } = it_;
      const seen = new Set<string>();
      const follow = async (id: string): Promise<void> => {
        for await (const { state } of stage.workflows.result(id).watch()) seen.add(state);
      };
      const blocker = await stage.publish(stage.call('held', 'gate'));
      await until(() => stage.diary.count('held gate') === 1, 'the queue is blocked');
      const waiting = await stage.publish(stage.call('ordered', 'later'), { queue: 'narrow' });
      const revoked = await stage.publish(stage.call('ordered', 'never'), { queue: 'narrow' });
      await revoked.revoke();
      const states = () => Promise.all([blocker, waiting, revoked].map((handle) => handle.state()));
      expect(await states()).toEqual(['STARTED', 'PENDING', 'REVOKED']);
      const again = await stage.publish(
        stage.workflows.signature('steers', ['again']) as never, // asks for an attempt
      );
      const followed = [blocker, waiting, revoked, again].map(({ id }) => follow(id));
      stage.diary.open('gate');
      await Promise.all(followed);
      const failed = await stage.run(stage.call('tells', 9));
      seen.add(await failed.state());
      seen.add(await stage.workflows.result('nobody').state());
      expect([...seen].sort()).not.toContain('RECEIVED');
      expect(TASK_STATES.filter((state) => !seen.has(state) && state !== 'RETRY')).toEqual(['RECEIVED']);
      // A terminal state stays, whatever is asked for afterwards.
      for (const handle of [blocker, revoked, failed]) {
        const before = await handle.describe();
        expect(await handle.revoke({ terminate: true })).toBe(false);
        expect(await handle.describe()).toEqual(before);
      }
    });
  });
}
