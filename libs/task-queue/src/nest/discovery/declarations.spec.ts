import { Controller, Injectable } from '@nestjs/common';
import { InvalidTaskError } from '../../errors/configuration.errors.js';
import { TaskContext } from '../../task/task-context.js';
import { Arg, Ctx } from '../decorators/param.decorators.js';
import { Retry } from '../decorators/retry.decorator.js';
import { Task } from '../decorators/task.decorator.js';
import { refusalOf, startApp } from './app.fixture.js';

describe('declarations that cannot be served', () => {
  it('a task of a controller', async () => {
    @Controller()
    class Reports {
      @Task()
      run(): void {}
    }
    expect(await refusalOf({ controllers: [Reports] })).toMatchObject({
      code: 'INVALID_TASK',
      message: 'Reports.run has @Task, but Reports is a controller. Move the task to a provider.',
    });
  });

  it('@Retry without @Task', async () => {
    @Injectable()
    class Tasks {
      @Retry()
      run(): void {}
    }
    expect((await refusalOf({ providers: [Tasks] })).message).toBe('Tasks.run has @Retry, but no @Task.');
  });

  it.each([
    [{ maxRetries: -1 }, 'expected maxRetries of 0 or more, or Infinity, got -1.'],
    [
      { retries: 3 },
      'expected the options for, never, maxRetries, maxElapsed, budget, backoff, honourRetryAfter, got "retries".',
    ],
    [{ maxRetrys: 3 }, 'expected the options for, never, maxRetries, maxElapsed, budget, backoff, honourRetryAfter, got "maxRetrys" (did you mean "maxRetries"?).'], // prettier-ignore
    [
      { backoff: { type: 'linear' } },
      "expected type 'fixed' or 'exponential', or a function, got \"linear\".",
    ],
    [{ for: Error }, 'expected for to be a list of error classes.'],
    [{ never: [Error, undefined] }, 'expected never[1] to be an error class, its name or a test, got undefined (do two modules import each other?).'], // prettier-ignore
  ])('@Retry(%j)', async (options, problem) => {
    @Injectable()
    class Tasks {
      @Task()
      @Retry(options as object)
      run(): void {}
    }
    const refusal = await refusalOf({ providers: [Tasks] });
    expect(refusal).toBeInstanceOf(InvalidTaskError);
    expect(refusal.message).toBe(`@Retry of Tasks.run: ${problem}`);
  });

  it('says which of several @Retry it is', async () => {
    @Injectable()
    class Tasks {
      @Task()
      @Retry({ for: ['A'] })
      @Retry({ maxRetries: 0.5 })
      run(): void {}
    }
    expect((await refusalOf({ providers: [Tasks] })).message).toMatch(/^@Retry number 2 of Tasks.run: /);
  });
});

describe('a build that emits no decorator metadata', () => {
  /** Applies decorators as such a build does: without `design:paramtypes`. */
  function decorate(type: { prototype: object }, method: string, ...parameters: ParameterDecorator[]): void {
    for (const [index, parameter] of parameters.entries()) parameter(type.prototype, method, index);
    const descriptor = Object.getOwnPropertyDescriptor(type.prototype, method);
    Task()(type.prototype, method, descriptor as PropertyDescriptor);
  }

  it('is refused at boot for a method with parameters', async () => {
    class Tasks {
      run(first: string, _second = 1): string {
        return first;
      }
    }
    decorate(Tasks, 'run');
    expect((await refusalOf({ providers: [Tasks] })).message).toBe(
      'Tasks.run: this build emits no types of parameters, so it cannot be seen which of them are arguments and ' +
        'which is the TaskContext. Enable emitDecoratorMetadata, or put @Ctx() or @Arg() on the parameters.',
    );
  });

  it('is refused too when only optional parameters are declared', async () => {
    class Tasks {
      run(first = 'x'): string {
        return first;
      }
    }
    decorate(Tasks, 'run');
    expect(await refusalOf({ providers: [Tasks] })).toBeInstanceOf(InvalidTaskError);
  });

  it('serves methods whose parameters are decorated, that have none, or a rest parameter', async () => {
    class Tasks {
      decorated(first: string, second: TaskContext, third: number): unknown[] {
        return [first, second instanceof TaskContext, third];
      }
      none(): string {
        return 'none';
      }
      rest(...values: number[]): number {
        return values.length;
      }
    }
    decorate(Tasks, 'decorated', Arg(), Ctx());
    decorate(Tasks, 'none');
    decorate(Tasks, 'rest');
    const { run, app } = await startApp({ providers: [Tasks] });
    await expect(run('Tasks.decorated', 'a', 3)).resolves.toEqual(['a', true, 3]);
    await expect(run('Tasks.none')).resolves.toBe('none');
    await expect(run('Tasks.rest', 1, 2)).resolves.toBe(2);
    await app.close();
  });
});
