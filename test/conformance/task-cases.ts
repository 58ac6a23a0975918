import { until, useStage, type World } from './world.js';

/** What a single task comes to. */
export function taskCases(world: World): void {
  describe('a task', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } });
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);

    describe('values', () => {
      it('a value is read by id, with its times and without retries', async () => {
        const handle = await stage().run(call('echo', { deep: [1, null, 'x'] }));
        expect(await handle.get()).toEqual({ deep: [1, null, 'x'] });
        expect(await handle.describe()).toEqual({
          id: handle.id,
          name: 'echo',
          state: 'SUCCESS',
          value: { deep: [1, null, 'x'] },
          retries: 0,
          publishedAt: expect.any(String),
          startedAt: expect.any(String),
          finishedAt: expect.any(String),
        });
        expect(await stage().workflows.result(handle.id).result()).toEqual({ deep: [1, null, 'x'] });
      });

      it('nothing is null', async () => {
        expect(await (await stage().run(call('nothing'))).get()).toBeNull();
      });

      it('what JSON cannot carry is a failure, not a hang', async () => {
        const handle = await stage().run(call('bigint'));
        await expect(handle.get()).rejects.toMatchObject({ code: 'UNSERIALIZABLE_RESULT' });
      });

      it('ignoreResult keeps none', async () => {
        const handle = await stage().run(call('echo', 1), { ignoreResult: true });
        expect(await handle.describe()).toMatchObject({ state: 'SUCCESS', value: null });
      });

      it('headers, place and arguments are in the context', async () => {
        const handle = await stage().run(call('context'), { headers: { tenant: 7 } });
        expect(await handle.get()).toMatchObject({
          headers: { tenant: 7 },
          queue: 'default',
          position: '',
          name: 'context',
          args: [],
        });
      });

      it('an id of the caller does the work once', async () => {
        const options = { taskId: 'the-only-one' };
        const handles = await Promise.all([
          stage().publish(call('note', 'once'), options),
          stage().publish(call('note', 'once'), options),
        ]);
        await stage().app.quiet();
        expect(handles.map(({ id }) => id)).toEqual(['the-only-one', 'the-only-one']);
        expect(stage().diary.entries).toEqual(['once']);
      });

      it('forget() leaves nothing', async () => {
        const handle = await stage().run(call('echo', 1));
        await handle.forget();
        expect(await handle.state()).toBe('UNKNOWN');
        await expect(handle.get()).rejects.toMatchObject({ code: 'RESULT_UNKNOWN' });
      });

      it('an id that nobody published is unknown', async () => {
        expect(await stage().workflows.result('0~never').describe()).toEqual({
          id: '0~never',
          state: 'UNKNOWN',
        });
      });
    });

    describe('failures', () => {
      it('keep class, message and request', async () => {
        const handle = await stage().run(call('fail', 1, 2));
        await expect(handle.get()).rejects.toEqual(new RangeError('failed 1 2'));
        expect(await handle.failure()).toMatchObject({
          request: { id: handle.id, name: 'fail', args: [1, 2], queue: 'default', attempt: 1 },
          error: { name: 'RangeError', message: 'failed 1 2' },
          reason: 'error',
        });
        expect(await handle.get({ propagate: false })).toBeInstanceOf(RangeError);
      });

      it('a task that throws nothing fails as well', async () => {
        const handle = await stage().run(call('throwNothing'));
        expect(await handle.state()).toBe('FAILURE');
      });

      it('an unknown name fails without a retry', async () => {
        const handle = await stage().run(call('nobody'), { queue: 'default' });
        expect(await handle.failure()).toMatchObject({ error: { code: 'UNKNOWN_TASK' } });
      });

      it('linkError runs once with the failure, link not at all', async () => {
        await stage().run(call('fail').link(call('keep', 'link')).linkError(call('keep', 'errback')));
        expect(stage().diary.entries).toEqual(['fail', 'errback']);
        expect(stage().diary.payloads).toMatchObject([{ request: { name: 'fail' }, reason: 'error' }]);
      });

      it('link runs once with the value', async () => {
        await stage().run(call('echo', 5).link(call('keep', 'link')));
        expect(stage().diary).toMatchObject({ entries: ['link'], payloads: [5] });
      });
    });

    describe('retries', () => {
      it.each([
        ['none needed', [], 'SUCCESS', 1],
        ['as many as the policy has', ['transient', 'transient'], 'SUCCESS', 3],
        ['one more than it has', ['transient', 'transient', 'transient'], 'FAILURE', 3],
        ['each policy counts for itself', ['transient', 'range', 'transient'], 'SUCCESS', 4],
        ['a second one under the second policy', ['range', 'range'], 'FAILURE', 2],
        ['an error that no policy names', ['fatal'], 'FAILURE', 1],
        ['an error that is final', ['transient', 'never'], 'FAILURE', 2],
      ])('%s', async (_what, errors, state, attempts) => {
        const handle = await stage().run(call('flaky', errors));
        expect(await handle.state()).toBe(state);
        expect(stage().diary.entries).toEqual(
          Array.from({ length: attempts }, (_, at) => `flaky ${at + 1}/${at}`),
        );
        expect((await handle.describe()).retries).toBe(attempts - 1);
      });

      it('maxRetries of the call replaces that of every policy', async () => {
        const handle = await stage().run(call('flaky', ['transient', 'transient']), { maxRetries: 1 });
        expect(await handle.state()).toBe('FAILURE');
        expect(stage().diary.entries).toHaveLength(2);
      });

      it('a task steers itself', async () => {
        expect(await (await stage().run(call('steers', 'retry'))).get()).toBe('again');
        expect(await (await stage().run(call('steers', 'ignore'))).describe()).toMatchObject({ value: null });
        const rejected = await stage().run(call('steers', 'reject'));
        expect(await rejected.failure()).toMatchObject({ error: { message: 'unwanted' } });
        expect(stage().diary.entries).toEqual(['steers 1', 'steers 2', 'steers 1', 'steers 1']);
      });
    });

    describe('time', () => {
      it('a countdown is waited for', async () => {
        const handle = await stage().publish(call('note', 'late'), { countdown: 150 });
        expect(await handle.state()).toBe('PENDING');
        await handle.get();
        const { publishedAt = '', startedAt = '' } = await handle.describe();
        expect(Date.parse(startedAt) - Date.parse(publishedAt)).toBeGreaterThanOrEqual(149);
      });

      it('what is not started before its expiry is not started', async () => {
        const handle = await stage().run(call('note', 'too late'), { countdown: 60, expires: 10 });
        expect(await handle.failure()).toMatchObject({ reason: 'expired', error: { code: 'TASK_EXPIRED' } });
        expect(stage().diary.entries).toEqual([]);
      });

      it('a soft limit aborts the signal, a hard one ends the attempt', async () => {
        const polite = await stage().run(call('polite'));
        expect(await polite.failure()).toMatchObject({ reason: 'soft-time-limit' });
        const stubborn = await stage().run(call('stubborn'));
        expect(await stubborn.failure()).toMatchObject({ reason: 'time-limit' });
        const called = await stage().run(call('stubborn'), { timeLimit: 30 });
        expect((await called.failure())?.error.message).toMatch(/30 ms/);
      });

      it('get() gives up when its time is over, and the task goes on', async () => {
        const handle = await stage().publish(call('slow', 200, 'slow'));
        await expect(handle.get({ timeout: 20 })).rejects.toMatchObject({ code: 'RESULT_TIMEOUT' });
        expect(await handle.get()).toBe('slow');
      });
    });

    describe('order', () => {
      it('without a priority first, then by priority, equals as they came', async () => {
        const narrow = { queue: 'narrow' };
        const blocker = await stage().publish(call('held', 'gate'), narrow);
        await until(() => stage().diary.count('held gate') === 1, 'the queue is blocked');
        for (const [label, priority] of [
          ['c1', 9],
          ['b1', 2],
          ['a1', undefined],
          ['c2', 9],
          ['b2', 2],
          ['a2', undefined],
        ] as const)
          await stage().publish(
            call('ordered', label),
            priority === undefined ? narrow : { ...narrow, priority },
          );
        stage().diary.open('gate');
        await blocker.get();
        await stage().app.quiet();
        expect(stage().diary.entries.slice(1)).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
      });
    });

    describe('progress and hooks', () => {
      it('progress can be read and watched while it runs', async () => {
        const handle = await stage().publish(call('progress', 'door'));
        const seen: unknown[] = [];
        const watched = (async () => {
          for await (const moment of handle.watch()) seen.push(moment);
        })();
        await until(() => stage().diary.count('in progress') === 1, 'it runs');
        expect(await handle.state()).toBe('STARTED');
        expect(await handle.progress()).toEqual({ step: 1 });
        await until(() => seen.some((one) => JSON.stringify(one).includes('step')), 'the progress was seen');
        stage().diary.open('door');
        await watched;
        expect(seen.at(-1)).toMatchObject({ state: 'SUCCESS' });
      });

      it.each([0, false, '', null, [], -0.5])('progress may be %j', async (value) => {
        const handle = await stage().run(call('reports', value));
        expect(await handle.progress()).toEqual(value);
        expect(await handle.describe()).toMatchObject({ progress: value });
      });

      it('without any there is none', async () => {
        const handle = await stage().run(call('echo', 1));
        expect(await handle.progress()).toBeUndefined();
        expect(await handle.describe()).not.toHaveProperty('progress');
      });

      it.each([
        ['success', 0, ['success "fine"']],
        ['success after a retry', 1, ['retry', 'success "fine"']],
        ['failure', 2, ['retry', 'failure error']],
      ])('hooks run once: %s', async (_what, failures, entries) => {
        const handle = await stage().run(call('hooked', failures));
        expect(stage().diary.entries).toEqual(entries);
        expect(await handle.state()).toBe(failures < 2 ? 'SUCCESS' : 'FAILURE');
      });
    });
  });
}
