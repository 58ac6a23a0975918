import {
  type ArgumentMetadata,
  type ArgumentsHost,
  BadRequestException,
  type CallHandler,
  type CanActivate,
  Catch,
  createParamDecorator,
  type ExceptionFilter,
  type ExecutionContext,
  ForbiddenException,
  Injectable,
  Logger,
  type NestInterceptor,
  ParseIntPipe,
  type PipeTransform,
  SetMetadata,
  UnprocessableEntityException,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
} from '@nestjs/common';
import {
  APP_FILTER,
  APP_GUARD,
  APP_INTERCEPTOR,
  APP_PIPE,
  ExternalContextCreator,
  Reflector,
} from '@nestjs/core';
import { IsInt, IsString } from 'class-validator';
import { EMPTY, EmptyError, map, type Observable, of, throwError } from 'rxjs';
import { RetryTask } from '../../errors/control-flow.js';
import { InvalidArgumentsError } from '../../errors/task.errors.js';
import { currentTask, TaskContext } from '../../task/task-context.js';
import { Arg, Ctx } from '../decorators/param.decorators.js';
import { Task } from '../decorators/task.decorator.js';
import { makeContext, rejectionOf, type SpecApp, startApp } from './spec-support.js';
import { TASK_CONTEXT_TYPE } from './task-request.js';

let lines: string[] = [];
let spec: SpecApp | undefined;
beforeEach(() => {
  lines = [];
});
afterEach(() => spec?.app.close());
const start = async (...args: Parameters<typeof startApp>): Promise<SpecApp> =>
  (spec = await startApp(...args));

@Injectable()
class Trace {
  add(line: string): void {
    lines.push(line);
  }
}

@Injectable()
class TraceGuard implements CanActivate {
  constructor(private readonly trace: Trace) {}
  canActivate(context: ExecutionContext): boolean {
    const rpc = context.switchToRpc();
    const task = rpc.getContext<TaskContext>();
    this.trace.add(
      `guard ${context.getType<string>()} ${context.getClass().name}.${context.getHandler().name} ` +
        `${JSON.stringify(rpc.getData())} ${task === currentTask()}`,
    );
    return rpc.getData<unknown[]>()[0] !== 'blocked';
  }
}

@Injectable()
class TraceInterceptor implements NestInterceptor {
  constructor(private readonly trace: Trace) {}
  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    this.trace.add('interceptor');
    return next.handle().pipe(map((value) => (typeof value === 'number' ? value * 2 : value)));
  }
}

@Injectable()
class TracePipe implements PipeTransform {
  constructor(private readonly trace: Trace) {}
  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    this.trace.add(
      `pipe ${metadata.type} ${metadata.data} ${metadata.metatype?.name} ${JSON.stringify(value)}`,
    );
    return value;
  }
}

class Domain extends Error {}
@Catch(Domain)
class DomainFilter implements ExceptionFilter {
  catch(error: Domain, host: ArgumentsHost): unknown {
    lines.push(`filter ${host.getType<string>()} ${JSON.stringify(host.switchToRpc().getData())}`);
    switch (error.message) {
      case 'swallow':
        return { handled: true };
      case 'observable':
        return of('seen');
      case 'observable-throw':
        return throwError(() => new Error('from the observable'));
      case 'later':
        return Promise.resolve(undefined);
      case 'pass':
        return undefined;
      default:
        throw new Error(`mapped ${error.message}`);
    }
  }
}

@Catch()
class CatchAll implements ExceptionFilter {
  catch(error: unknown): unknown {
    lines.push(`caught ${(error as Error).name}`);
    return undefined;
  }
}

class MailDto {
  @IsString()
  to!: string;
  @IsInt()
  copies!: number;
}

@Injectable()
class MailTasks {
  @Task()
  double(count: number, task: TaskContext): number {
    lines.push(`handler ${count} ${task.id}`);
    return count;
  }

  @Task()
  send(dto: MailDto, task: TaskContext): object {
    return { dto: dto instanceof MailDto, copies: dto.copies, attempt: task.attempt };
  }

  @Task()
  many(first: string, mails: MailDto[], last = 'default'): unknown[] {
    return [first, mails.length, last];
  }

  @Task()
  parse(@Arg(ParseIntPipe) first: number, @Arg() second: number, @Ctx() task: TaskContext): unknown[] {
    return [first, second, task instanceof TaskContext];
  }

  @Task()
  contextFirst(task: TaskContext, value: string): unknown[] {
    return [task instanceof TaskContext, value];
  }

  @Task()
  rest(first: string, ...others: string[]): unknown[] {
    return [first, ...others];
  }

  @Task()
  restWithContext(@Ctx() task: TaskContext, ...others: string[]): unknown[] {
    return [task instanceof TaskContext, ...others];
  }

  @Task()
  nothing(): number {
    return arguments.length;
  }

  @Task()
  current(): string {
    return currentTask().id;
  }

  @Task()
  fail(message: string): never {
    throw new Domain(message);
  }

  @Task()
  retry(task: TaskContext): never {
    return task.retry({ countdown: 5 });
  }

  @Task()
  refuse(kind: string): never {
    if (kind === '422') throw new UnprocessableEntityException({ message: { to: ['is missing'] } });
    throw new BadRequestException(kind);
  }

  @Task()
  observable(kind: string): Observable<number> {
    return kind === 'empty' ? EMPTY : of(1, 2);
  }

  @Task()
  emptyError(): never {
    throw new EmptyError();
  }
}
const providers = [Trace, MailTasks];

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

  it('sees spies that are put on the instance later', async () => {
    const { run, app } = await start({ providers });
    await run('MailTasks.nothing');
    jest.spyOn(app.get(MailTasks), 'nothing').mockReturnValue(7);
    await expect(run('MailTasks.nothing')).resolves.toBe(7);
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

describe('guards, interceptors and pipes', () => {
  it('run around the task in the order of Nest: guard, interceptor, pipes, handler', async () => {
    @Injectable()
    @UseGuards(TraceGuard)
    class Tasks extends MailTasks {
      @Task()
      @UseInterceptors(TraceInterceptor)
      @UsePipes(TracePipe)
      override double(count: number, task: TaskContext): number {
        return super.double(count, task);
      }
    }
    const { runIn } = await start({ providers: [Trace, Tasks] });
    await expect(runIn(makeContext({ id: 'x' }), 'Tasks.double', 4)).resolves.toBe(8);
    expect(lines).toEqual([
      'guard task-queue Tasks.double [4] true',
      'interceptor',
      'pipe body args[0] Number 4',
      'handler 4 x',
    ]);
    lines = [];
    const error = await rejectionOf(runIn(makeContext(), 'Tasks.double', 'blocked'));
    expect(error).toBeInstanceOf(ForbiddenException);
    expect(lines).toHaveLength(1);
  });

  it('apply when they are global, as providers', async () => {
    const { run } = await start({
      providers: [
        ...providers,
        { provide: APP_GUARD, useClass: TraceGuard },
        { provide: APP_INTERCEPTOR, useClass: TraceInterceptor },
        { provide: APP_PIPE, useClass: TracePipe },
      ],
    });
    await expect(run('MailTasks.double', 4)).resolves.toBe(8);
    expect(lines).toEqual([
      'guard task-queue MailTasks.double [4] true',
      'interceptor',
      'pipe body args[0] Number 4',
      'handler 4 id-1',
    ]);
  });

  it('apply when they are made global after the discovery', async () => {
    const trace = new Trace();
    const { run } = await start({ providers }, (app) => {
      app.useGlobalGuards(new TraceGuard(trace));
      app.useGlobalPipes(new TracePipe(trace));
      app.useGlobalInterceptors(new TraceInterceptor(trace));
    });
    await expect(run('MailTasks.double', 4)).resolves.toBe(8);
    expect(lines).toHaveLength(4);
  });

  it('read the metadata of the method, also around a rest parameter', async () => {
    @Injectable()
    class RoleGuard implements CanActivate {
      constructor(private readonly reflector: Reflector) {}
      canActivate(context: ExecutionContext): boolean {
        lines.push(String(this.reflector.get<string>('role', context.getHandler())));
        return true;
      }
    }
    @Injectable()
    @UseGuards(RoleGuard)
    class Tasks {
      @SetMetadata('role', 'above')
      @Task()
      plain(value: string): string {
        return value;
      }
      @Task()
      @SetMetadata('role', 'below')
      rest(...values: string[]): number {
        return values.length;
      }
    }
    const { run } = await start({ providers: [Tasks] });
    await run('Tasks.plain', 'x');
    await expect(run('Tasks.rest', 'x', 'y')).resolves.toBe(2);
    expect(lines).toEqual(['above', 'below']);
  });

  it('never put the context through a pipe, whatever the pipe does', async () => {
    class Rebuild implements PipeTransform {
      transform(value: object): unknown {
        return typeof value === 'object' ? { ...value } : value;
      }
    }
    const validation = new ValidationPipe({ transform: true, validateCustomDecorators: true });
    const { run } = await start({ providers }, (app) => app.useGlobalPipes(validation, new Rebuild()));
    await expect(run('MailTasks.contextFirst', 'v')).resolves.toEqual([true, 'v']);
  });

  it('serve decorators made by createParamDecorator, which stand for no argument', async () => {
    const Tenant = createParamDecorator(
      (_: unknown, context: ExecutionContext) =>
        context.switchToRpc().getContext<TaskContext>().headers.tenant,
    );
    @Injectable()
    class Tasks {
      @Task()
      who(@Tenant() tenant: string, name: string): string {
        return `${name}@${tenant}`;
      }
    }
    const { runIn } = await start({ providers: [Tasks] });
    await expect(runIn(makeContext({ headers: { tenant: 'acme' } }), 'Tasks.who', 'ann')).resolves.toBe(
      'ann@acme',
    );
  });
});

describe('pipes of arguments', () => {
  it('validate and transform a DTO by its class', async () => {
    const { run } = await start({ providers }, (app) =>
      app.useGlobalPipes(new ValidationPipe({ transform: true, whitelist: true })),
    );
    await expect(run('MailTasks.send', { to: 'a', copies: 2, junk: 1 })).resolves.toEqual({
      dto: true,
      copies: 2,
      attempt: 1,
    });
    const error = await rejectionOf(run('MailTasks.send', { to: 1, copies: 'x' }));
    expect(error).toBeInstanceOf(InvalidArgumentsError);
    expect((error as Error).message).toBe(
      'The arguments were refused: to must be a string; copies must be an integer number',
    );
    await expect(run('MailTasks.send')).rejects.toBeInstanceOf(InvalidArgumentsError);
  });

  it('run on one parameter only, where they stand on it', async () => {
    const { run } = await start({ providers });
    await expect(run('MailTasks.parse', '7', 'x')).resolves.toEqual([7, 'x', true]);
    expect(await rejectionOf(run('MailTasks.parse', 'seven', 'x'))).toMatchObject({
      code: 'INVALID_ARGUMENTS',
      message: 'The arguments were refused: Validation failed (numeric string is expected)',
    });
  });
});

describe('filters', () => {
  const withFilter = { providers: [...providers, { provide: APP_FILTER, useClass: DomainFilter }] };

  it.each([
    ['swallow', { handled: true }],
    ['observable', 'seen'],
  ])('make the task succeed with the value they give (%s)', async (message, value) => {
    const { run } = await start(withFilter);
    await expect(run('MailTasks.fail', message)).resolves.toEqual(value);
    expect(lines).toEqual([`filter ${TASK_CONTEXT_TYPE} ["${message}"]`]);
  });

  it.each([
    ['pass', 'pass'],
    ['later', 'later'],
    ['x', 'mapped x'],
    ['observable-throw', 'from the observable'],
  ])('fail the task otherwise (%s)', async (message, expected) => {
    const { run } = await start(withFilter);
    await expect(run('MailTasks.fail', message)).rejects.toThrow(expected);
  });

  it('stand on a class or a method too, and see a refusal before it is turned', async () => {
    @Injectable()
    @UseFilters(CatchAll)
    class Tasks extends MailTasks {}
    const { run } = await start({ providers: [Tasks] });
    await expect(run('Tasks.refuse', 'x')).rejects.toBeInstanceOf(InvalidArgumentsError);
    expect(lines).toEqual(['caught BadRequestException']);
  });

  it('do not see a throw that steers the task, and nothing is logged on the way', async () => {
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const { run } = await start({ providers: [...providers, { provide: APP_FILTER, useClass: CatchAll }] });
    await expect(run('MailTasks.retry')).rejects.toBeInstanceOf(RetryTask);
    expect(lines).toEqual([]);
    await expect(run('MailTasks.fail', 'x')).rejects.toBeInstanceOf(Domain);
    expect(lines).toEqual(['caught Error']);
    expect(error).not.toHaveBeenCalled();
    error.mockRestore();
  });
});
