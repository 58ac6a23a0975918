import {
  type CallHandler,
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  ForbiddenException,
  Injectable,
  type PipeTransform,
  SetMetadata,
  UseGuards,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR, APP_PIPE, Reflector } from '@nestjs/core';
import { concat, EMPTY, type Observable, of, retry } from 'rxjs';
import { InvalidArgumentsError } from '../../errors/task.errors.js';
import { TaskContext } from '../../task/task-context.js';
import { Task } from '../decorators/task.decorator.js';
import {
  lines,
  MailTasks,
  providers,
  Trace,
  TraceGuard,
  TraceInterceptor,
  TracePipe,
} from './tasks.fixture.js';
import { makeContext, rejectionOf, type SpecApp, startApp } from './app.fixture.js';

let spec: SpecApp | undefined;
beforeEach(() => {
  lines.length = 0;
});
afterEach(() => spec?.app.close());
const start = async (...args: Parameters<typeof startApp>): Promise<SpecApp> =>
  (spec = await startApp(...args));

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
    lines.length = 0;
    const error = await rejectionOf(runIn(makeContext(), 'Tasks.double', 'blocked'));
    expect(error).toBeInstanceOf(ForbiddenException);
    expect(lines).toHaveLength(1);
  });

  it('may answer in any way that Nest takes: the last value counts, none is null, and errors stay what they are', async () => {
    const answer = (answers: (next: CallHandler) => Observable<unknown>) =>
      UseInterceptors({ intercept: (_: ExecutionContext, next: CallHandler) => answers(next) });
    const guard = (decide: CanActivate['canActivate']) => UseGuards({ canActivate: decide });
    let runs = 0;
    @Injectable()
    class Tasks {
      @Task()
      @answer((next) => concat(next.handle(), of('second')))
      twice(): string {
        return 'first';
      }
      @Task()
      @answer(() => EMPTY)
      empty(): void {
        runs++;
      }
      @Task()
      @answer((next) => next.handle().pipe(retry(2)))
      again(): number {
        if (++runs < 3) throw new Error('not yet');
        return runs;
      }
      @Task()
      @guard(() => of(false))
      refused(): void {}
      @Task()
      @guard(() => {
        throw new RangeError('of the guard');
      })
      broken(): void {}
    }
    const { run } = await start({ providers: [Tasks] });
    await expect(run('Tasks.twice')).resolves.toBe('second');
    await expect(run('Tasks.empty')).resolves.toBeNull();
    expect(runs).toBe(0);
    await expect(run('Tasks.again')).resolves.toBe(3);
    await expect(run('Tasks.refused')).rejects.toBeInstanceOf(ForbiddenException);
    await expect(run('Tasks.broken')).rejects.toBeInstanceOf(RangeError);
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
