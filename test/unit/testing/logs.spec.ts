/** What the lines of the library carry, for the loggers that an application may have; and what they do not show. */
import { ConsoleLogger, Injectable, Logger, type LoggerService } from '@nestjs/common';
import {
  OnTaskEvent,
  REDACTED_KEYS,
  Retry,
  Task,
  TaskContext,
  type TaskEvent,
  type TaskQueueModuleOptions,
} from 'nestjs-task-queue';
import { startMemoryApp } from '../../support/memory-app.js';

class HttpError extends Error {
  override name = 'HttpError';
  readonly config = { headers: { authorization: 'Bearer s3cret' }, url: '/pay' };
}

@Injectable()
class Payments {
  readonly heard: TaskEvent[] = [];

  @Task({ name: 'pay' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  async pay(_card: object, task: TaskContext): Promise<void> {
    task.logger.log('charging', { amount: 7 });
    await task.progress({ step: 1, token: 's3cret' });
    throw new HttpError('refused');
  }

  @OnTaskEvent()
  hear(event: TaskEvent): void {
    this.heard.push(event);
  }
}

/** Keeps what it is given. */
class Given implements LoggerService {
  readonly lines: { readonly level: string; readonly given: unknown[] }[] = [];
  readonly #keep =
    (level: string) =>
    (...given: unknown[]): void =>
      void this.lines.push({ level, given });
  log = this.#keep('log');
  warn = this.#keep('warn');
  error = this.#keep('error');
  debug = this.#keep('debug');

  of(level: string): unknown[][] {
    return this.lines.filter((line) => line.level === level).map(({ given }) => given);
  }
}

/** Nest's own logger, as JSON. */
class Json extends ConsoleLogger {
  readonly objects: Record<string, unknown>[] = [];
  constructor() {
    super('', { json: true });
  }
  protected override printAsJson(
    message: unknown,
    options: Parameters<ConsoleLogger['getJsonLogObject']>[1],
  ): void {
    this.objects.push(this.getJsonLogObject(message, options));
  }
}

let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
  Logger.overrideLogger(false);
});

/** Runs one payment that fails twice. */
async function pay<L extends LoggerService>(logger: L, options: TaskQueueModuleOptions = {}) {
  const app = await startMemoryApp([Payments], options);
  close = () => app.close();
  app.module.useLogger(logger);
  const handle = await app.workflows
    .signature('pay', [{ number: '4111', password: 's3cret' }])
    .applyAsync([], { headers: { cookie: 's3cret', trace: 't-1' } });
  await app.quiet();
  await app.close();
  return { id: handle.id, logger, failure: await handle.failure(), heard: app.module.get(Payments).heard };
}

const about = (id: string, attempt: number) => ({
  taskId: id,
  task: 'pay',
  queue: 'default',
  attempt,
  retries: attempt - 1,
  workflowId: id,
  position: '',
});

describe('lines about a task', () => {
  it('carry its ids, name and attempt as an object after the text', async () => {
    const { id, logger } = await pay(new Given());
    expect(logger.of('log')).toEqual([
      [`pay ${id} attempt 1: charging`, { ...about(id, 1), amount: 7 }, 'TaskQueue'],
      [`pay ${id} attempt 2: charging`, { ...about(id, 2), amount: 7 }, 'TaskQueue'],
    ]);
    expect(logger.of('warn')).toEqual([
      [expect.stringContaining('will be tried again in 1 ms: HttpError: refused'), about(id, 1), 'TaskQueue'],
    ]);
    expect(logger.of('error')).toEqual([
      [
        `pay ${id} failed: HttpError: refused`,
        expect.stringContaining('HttpError: refused\n'),
        about(id, 2),
        'TaskQueue',
      ],
    ]);
    expect(JSON.stringify(logger.lines)).not.toContain('4111');
  });

  it('are understood by the logger of Nest, as JSON', async () => {
    const { id, logger } = await pay(new Json());
    const failed = logger.objects.find(({ level }) => level === 'error');
    expect(failed).toMatchObject({
      message: `pay ${id} failed: HttpError: refused`,
      context: 'TaskQueue',
      params: about(id, 2),
    });
    expect(failed?.['stack']).toContain('HttpError: refused');
    expect(logger.objects.find(({ level }) => level === 'warn')).toMatchObject({ params: about(id, 1) });
  });

  it('are one object where the logger wants one, or a text alone', async () => {
    const { id, logger } = await pay(new Given(), { logging: { form: 'object' } });
    expect(logger.of('warn')).toEqual([
      [{ msg: expect.stringContaining('will be tried again') as string, ...about(id, 1) }, 'TaskQueue'],
    ]);
    expect(logger.of('error')[0]?.[0]).toMatchObject({
      msg: `pay ${id} failed: HttpError: refused`,
      stack: expect.stringContaining('HttpError: refused\n') as string,
    });
    const text = await pay(new Given(), { logging: { form: 'text' } });
    expect(text.logger.of('warn')[0]).toHaveLength(2);
  });

  it('have the arguments where that is asked for, without what is to be hidden', async () => {
    const { logger } = await pay(new Given(), { logging: { args: true } });
    const args = [{ number: '4111', password: '[redacted]' }];
    expect(logger.of('warn')[0]?.[1]).toMatchObject({ args });
    expect(logger.of('error')[0]?.[2]).toMatchObject({ args });
    expect(logger.of('log')[0]?.[1]).toMatchObject({ args });
    expect(JSON.stringify(logger.lines)).not.toContain('s3cret');
  });
});

describe('what is hidden', () => {
  it('is hidden in the record of a failure and in events, and not from the task', async () => {
    const { failure, heard } = await pay(new Given());
    expect(failure?.request.args).toEqual([{ number: '4111', password: '[redacted]' }]);
    expect(failure?.request.headers).toEqual({ cookie: '[redacted]', trace: 't-1' });
    expect(failure?.error.data).toEqual({
      config: { headers: { authorization: '[redacted]' }, url: '/pay' },
    });
    expect(heard.map(({ type }) => type)).toContain('progress');
    expect(JSON.stringify(heard)).not.toContain('s3cret');
    expect(JSON.stringify(heard)).toContain('t-1');
  });

  it('can be more, less or nothing', async () => {
    const more = await pay(new Given(), {
      redact: [...REDACTED_KEYS, 'args[0].number', 'error.data.config.url'],
    });
    expect(more.failure?.request.args).toEqual([{ number: '[redacted]', password: '[redacted]' }]);
    expect(more.failure?.error.data).toEqual({
      config: { headers: { authorization: '[redacted]' }, url: '[redacted]' },
    });
    const own = await pay(new Given(), {
      redact: (path, value) => (path === 'error.message' ? 'hidden' : value),
    });
    expect(own.failure?.error).toMatchObject({ message: 'hidden' });
    expect(own.failure?.request.args).toEqual([{ number: '4111', password: 's3cret' }]);
    const none = await pay(new Given(), { redact: false });
    expect(none.failure?.request.args).toEqual([{ number: '4111', password: 's3cret' }]);
  });

  it.each([
    [{ redact: [''] }, 'redact'],
    [{ redact: 'password' }, 'redact'],
    [{ logging: { form: 'json' } }, 'logging.form'],
    [{ logging: { messageKey: '' } }, 'logging.messageKey'],
    [{ logging: { arguments: true } }, 'logging.arguments'],
  ])('is refused where it cannot be read: %j', async (options, path) => {
    await expect(startMemoryApp([Payments], options as object)).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringContaining(`Option ${path}`) as string,
    });
  });
});
