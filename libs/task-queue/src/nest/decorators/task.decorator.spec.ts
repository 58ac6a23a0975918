import { Body, Headers, Injectable, ParseIntPipe, Query } from '@nestjs/common';
import { InvalidTaskError } from '../../errors/configuration.errors.js';
import type { TaskOptions } from '../../task/task-options.js';
import { TaskContext } from '../../task/task-context.js';
import { OnFailure } from './hook.decorators.js';
import {
  hookDeclarationsOf,
  retryOptionsOf,
  taskDeclarationOf,
  taskMetadataOf,
  taskNameOf,
} from './metadata.js';
import { Arg, Ctx } from './param.decorators.js';
import { Retry } from './retry.decorator.js';
import { Task } from './task.decorator.js';

function declare(options: unknown): InvalidTaskError {
  try {
    class Tasks {
      @Task(options as TaskOptions)
      run(): void {}
    }
    return new Tasks() as never;
  } catch (error) {
    return error as InvalidTaskError;
  }
}

describe('@Task', () => {
  it.each([
    [{ queu: 'x' }, 'Option queu: expected one of the options name, queue, connection, softTimeLimit, timeLimit, ignoreResult, priority, expected, rateLimit (did you mean "queue"?), got "queu".'], // prettier-ignore
    [{ name: '' }, 'Option name: expected 1 to 200 characters without spaces, got "".'],
    [{ name: 'a b' }, 'Option name: expected 1 to 200 characters without spaces, got "a b".'],
    [{ queue: '_own' }, 'Option queue: expected a queue name of 1 to 128 letters, digits, "_", "-" or ".", not beginning with "_", got "_own".'], // prettier-ignore
    [{ softTimeLimit: 'soon' }, 'Option softTimeLimit: expected milliseconds or a duration such as \'30s\' or \'5m30s\', got "soon".'], // prettier-ignore
    [{ softTimeLimit: '1m', timeLimit: '1m' }, 'Option softTimeLimit: expected less than timeLimit (60000 ms), got "1m".'], // prettier-ignore
    [{ timeLimit: 0 }, "Option timeLimit: expected milliseconds or a duration such as '30s' or '5m30s', of 1 ms or more, got 0."], // prettier-ignore
    [{ ignoreResult: 'no' }, 'Option ignoreResult: expected true or false, got "no".'],
    [{ priority: 0 }, 'Option priority: expected a whole number from 1 to 2097152, got 0.'],
    [{ expected: Error }, 'Option expected: expected a list of error classes, got function Error.'],
    [{ expected: [Error, 5] }, 'Option expected[1]: expected an error class, its name or a test, got 5.'],
    ['report', 'Option options: expected an object, got "a string".'],
  ])('refuses %j, naming class and method', (options, problem) => {
    const refusal = declare(options);
    expect(refusal).toBeInstanceOf(InvalidTaskError);
    expect(refusal.message).toBe(`@Task of Tasks.run: ${problem}`);
  });

  it('refuses what is no method of an instance', () => {
    const symbol = Symbol('run');
    expect(() => {
      class Tasks {
        @Task()
        static run(): void {}
      }
      return Tasks;
    }).toThrow('Tasks.run: @Task stands on a method of an instance');
    expect(() => {
      class Tasks {
        @Task()
        get run(): () => void {
          return () => undefined;
        }
      }
      return Tasks;
    }).toThrow(InvalidTaskError);
    expect(() => {
      class Tasks {
        @Task()
        [symbol](): void {}
      }
      return Tasks;
    }).toThrow(InvalidTaskError);
  });

  it('refuses parameters that read an HTTP request', () => {
    expect(() => {
      class Tasks {
        @Task()
        run(_first: string, @Query() _second: string): string {
          return _first;
        }
      }
      return Tasks;
    }).toThrow('Tasks.run: parameter 2 has a decorator that reads an HTTP request.');
  });

  it('refuses pipes on a method with a rest parameter', () => {
    expect(() => {
      class Tasks {
        @Task()
        run(@Arg(ParseIntPipe) first: number, ...others: number[]): number[] {
          return [first, ...others];
        }
      }
      return Tasks;
    }).toThrow('Take a list instead.');
  });

  it('takes the types of a method that another decorator has wrapped', () => {
    const Wrap = (): MethodDecorator => (_target, _key, descriptor) => {
      const inner = descriptor.value as unknown as (...args: unknown[]) => unknown;
      descriptor.value = function (this: unknown, ...args: unknown[]): unknown {
        return inner.apply(this, args);
      } as never;
    };
    class Tasks {
      @Task()
      @Wrap()
      one(value: string): string {
        return value;
      }
      @Task()
      @Wrap()
      two(value: string, _task: TaskContext): string {
        return value;
      }
    }
    expect(taskDeclarationOf(Tasks, 'one')?.parameters).toEqual({
      kind: 'declared',
      roles: ['argument'],
      enhanced: false,
    });
    expect(taskDeclarationOf(Tasks, 'two')?.parameters).toMatchObject({ roles: ['argument', 'context'] });
  });

  it('knows an optional context, and decorators of @nestjs/microservices by their number', () => {
    class Tasks {
      @Task()
      optional(value: string, _task?: TaskContext): string {
        return value;
      }
      @Task()
      foreign(@Body() value: string, @Headers() _task: unknown): string {
        return value;
      }
    }
    expect(taskDeclarationOf(Tasks, 'optional')?.parameters).toMatchObject({
      roles: ['argument', 'context'],
    });
    expect(taskDeclarationOf(Tasks, 'foreign')?.parameters).toMatchObject({ roles: ['argument', 'context'] });
  });
});

describe('metadata', () => {
  class Base {
    @Task()
    inherited(value: string): string {
      return value;
    }
    @Retry({ maxRetries: 9 })
    @Task({ name: 'fixed' })
    named(@Ctx() _task: TaskContext, value: string): string {
      return value;
    }
    @Task({ queue: 'base' })
    @Retry({ maxRetries: 1 })
    replaced(_task: TaskContext): void {}
    plain(): void {}
  }
  class Sub extends Base {
    @Task()
    override replaced(): void {}
    @Retry({ maxRetries: 2 })
    override named(task: TaskContext, value: string): string {
      return super.named(task, value);
    }
  }

  it('gives names, queues and options without an injector', () => {
    expect(Object.fromEntries(taskMetadataOf(Base))).toEqual({
      inherited: { name: 'Base.inherited', queue: 'default', options: { ignoreResult: false } },
      named: { name: 'fixed', queue: 'default', options: { ignoreResult: false } },
      replaced: { name: 'Base.replaced', queue: 'base', options: { ignoreResult: false } },
    });
    expect([...taskMetadataOf(Sub)].map(([method, task]) => [method, task.name, task.queue])).toEqual([
      ['replaced', 'Sub.replaced', 'default'],
      ['named', 'fixed', 'default'],
      ['inherited', 'Sub.inherited', 'default'],
    ]);
    expect(taskMetadataOf(class {}).size).toBe(0);
    expect(taskNameOf(Sub, 'inherited')).toBe('Sub.inherited');
  });

  it('refuses the name of what is no task', () => {
    expect(() => taskNameOf(Base, 'inherted')).toThrow(
      'Base.inherted is no task: it has no @Task (did you mean "inherited"?).',
    );
    expect(() => taskNameOf(Base, 'plain')).toThrow(InvalidTaskError);
  });

  it('reads the parameters of the method itself, not of the one it overrides', () => {
    expect(taskDeclarationOf(Base, 'replaced')?.parameters).toMatchObject({ roles: ['context'] });
    expect(taskDeclarationOf(Sub, 'replaced')?.parameters).toMatchObject({ roles: [] });
  });

  it('keeps several @Retry in the order in which they stand, on either side of @Task', () => {
    class Tasks {
      @Retry({ maxRetries: 1 })
      @Task()
      @Retry({ maxRetries: 2 })
      @Retry({ maxRetries: 3 })
      run(): void {}
    }
    expect(retryOptionsOf(Tasks, 'run').map((options) => options.maxRetries)).toEqual([1, 2, 3]);
  });

  it('inherits @Retry unless a subclass says something itself', () => {
    expect(retryOptionsOf(Sub, 'named')).toEqual([{ maxRetries: 2 }]);
    expect(retryOptionsOf(Sub, 'replaced')).toEqual([]);
    expect(retryOptionsOf(Base, 'replaced')).toEqual([{ maxRetries: 1 }]);
  });

  it('refuses hooks and @Retry in the wrong place', () => {
    expect(() => {
      class Tasks {
        @Retry()
        static run(): void {}
      }
      return Tasks;
    }).toThrow('Tasks.run: @Retry stands on a method that has @Task.');
    expect(() => {
      @Injectable()
      class Tasks {
        @OnFailure(undefined as never)
        failed(): void {}
      }
      return hookDeclarationsOf(Tasks, 'failed');
    }).toThrow('Tasks.failed: @OnFailure takes names of tasks, got undefined.');
    expect(() => {
      class Tasks {
        constructor(@Arg() readonly value: string) {}
      }
      return Tasks;
    }).toThrow('@Arg() and @Ctx() stand on task methods.');
  });
});
