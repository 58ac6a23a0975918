import { BadRequestException, Injectable, Logger } from '@nestjs/common';
import { APP_INTERCEPTOR, ExternalContextCreator } from '@nestjs/core';
import { EmptyError } from 'rxjs';
import { RetryTask } from '../../errors/control-flow.js';
import { TaskContext } from '../../task/task-context.js';
import { Task } from '../decorators/task.decorator.js';
import { InvalidArgumentsError } from '../../errors/task.errors.js';
import { Domain, lines, MailTasks, providers, TraceInterceptor } from './tasks.fixture.js';
import { makeContext, rejectionOf, type SpecApp, startApp } from './app.fixture.js';

let spec: SpecApp | undefined;
beforeEach(() => {
  lines.length = 0;
});
afterEach(() => spec?.app.close());
const start = async (...args: Parameters<typeof startApp>): Promise<SpecApp> =>
  (spec = await startApp(...args));

describe('a task with nothing around it', () => {
  it('is called with its arguments and its context, without the pipeline of Nest', async () => {
    const create = jest.spyOn(ExternalContextCreator.prototype, 'create');
    const { runIn, run } = await start({ providers });
    await expect(runIn(makeContext({ id: 'x' }), 'MailTasks.double', 4)).resolves.toBe(4);
    expect(lines).toEqual(['handler 4 x']);
    await expect(run('MailTasks.contextFirst', 'v')).resolves.toEqual([true, 'v']);
    expect(create).not.toHaveBeenCalled();
    create.mockRestore();
  });

  it('leaves missing arguments undefined, so that defaults apply, and drops those it does not declare', async () => {
    const { run } = await start({ providers });
    await expect(run('MailTasks.many', 'a', [])).resolves.toEqual(['a', 0, 'default']);
    await expect(run('MailTasks.nothing', 1, 2)).resolves.toBe(0);
  });

  it('takes the pipeline where a version of Nest hides what is global', async () => {
    const { run, app } = await start({ providers });
    const creator = app.get(ExternalContextCreator);
    Object.defineProperty(creator, 'container', { value: undefined });
    const create = jest.spyOn(ExternalContextCreator.prototype, 'create');
    await expect(run('MailTasks.double', 4)).resolves.toBe(4);
    await expect(run('MailTasks.double', 5)).resolves.toBe(5);
    expect(create).toHaveBeenCalledTimes(1);
    create.mockRestore();
  });

  it('sees spies that are put on the instance later', async () => {
    const { run, app } = await start({ providers });
    await run('MailTasks.nothing');
    jest.spyOn(app.get(MailTasks), 'nothing').mockReturnValue(7);
    await expect(run('MailTasks.nothing')).resolves.toBe(7);
  });
});

describe('a parameter whose type cannot be seen', () => {
  /** As TaskContext is after a type import: the compiler says Object. */
  interface Unseen {
    readonly id: string;
  }
  @Injectable()
  class Tasks {
    @Task()
    hidden(_value: number, task?: Unseen): string | undefined {
      return task?.id;
    }
    @Task()
    plain(_value: number, options?: Unseen): string | undefined {
      return options?.id;
    }
    @Task()
    both(_value: number, task?: Unseen, _context?: TaskContext): string | undefined {
      return task?.id;
    }
  }

  it('is told of, once, where it looks like the context and got nothing', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const { run } = await start({ providers: [Tasks] });
    await run('Tasks.hidden', 1, { id: 'an argument' });
    await run('Tasks.plain', 1);
    await run('Tasks.both', 1);
    expect(warn).not.toHaveBeenCalled();
    await run('Tasks.hidden', 1);
    await run('Tasks.hidden', 1);
    expect(warn.mock.calls.map(([message]) => message as string)).toEqual([
      expect.stringContaining(
        'Tasks.hidden got nothing for its parameter task. If that is to be the TaskContext',
      ),
    ]);
    warn.mockRestore();
  });
});

/** Everything that must not depend on whether Nest's pipeline runs. */
describe.each([
  ['directly', undefined],
  ['through the pipeline', { provide: APP_INTERCEPTOR, useClass: TraceInterceptor }],
])('a task that runs %s', (_, extra) => {
  const metadata = { providers: extra ? [...providers, extra] : providers };

  it('gets rest arguments as they are', async () => {
    const { run } = await start(metadata);
    await expect(run('MailTasks.rest', 'a', 'b', 'c')).resolves.toEqual(['a', 'b', 'c']);
    await expect(run('MailTasks.rest')).resolves.toEqual([undefined]);
    await expect(run('MailTasks.restWithContext', 'b', 'c')).resolves.toEqual([true, 'b', 'c']);
    await expect(run('MailTasks.restWithContext')).resolves.toEqual([true]);
  });

  it('gets no arguments when it declares none', async () => {
    const { run } = await start(metadata);
    await expect(run('MailTasks.nothing', 1, 2)).resolves.toBe(0);
  });

  it('finds itself by currentTask()', async () => {
    const { runIn } = await start(metadata);
    await expect(runIn(makeContext({ id: 'mine' }), 'MailTasks.current')).resolves.toBe('mine');
  });

  it('gives the last value of an Observable, and null for an empty one', async () => {
    const { run } = await start(metadata);
    await expect(run('MailTasks.observable', 'two')).resolves.toBe(extra ? 4 : 2);
    await expect(run('MailTasks.observable', 'empty')).resolves.toBeNull();
    await expect(run('MailTasks.emptyError')).rejects.toBeInstanceOf(EmptyError);
  });

  it('passes on what it throws, unchanged', async () => {
    const { run } = await start(metadata);
    const error = await rejectionOf(run('MailTasks.fail', 'x'));
    expect(error).toBeInstanceOf(Domain);
    await expect(run('MailTasks.retry')).rejects.toBeInstanceOf(RetryTask);
  });

  it('turns a refusal of its arguments into an InvalidArgumentsError with the details', async () => {
    const { run } = await start(metadata);
    const error = await rejectionOf(run('MailTasks.refuse', 'no such mail'));
    expect(error).toBeInstanceOf(InvalidArgumentsError);
    expect(error).toMatchObject({
      message: 'The arguments were refused: no such mail',
      response: { statusCode: 400, message: 'no such mail' },
      cause: expect.any(BadRequestException),
    });
    expect(await rejectionOf(run('MailTasks.refuse', '422'))).toMatchObject({
      message: 'The arguments were refused: {"to":["is missing"]}',
    });
  });
});
