/** Pattern handlers of controllers as ordinary tasks: their pipeline, their retries, and how they end. */
import {
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  type INestMicroservice,
  Inject,
  Injectable,
  type NestInterceptor,
  ParseIntPipe,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
} from '@nestjs/common';
import { APP_GUARD, NestFactory, REQUEST } from '@nestjs/core';
import {
  type AsyncMicroserviceOptions,
  Ctx,
  EventPattern,
  MessagePattern,
  Payload,
  RpcException,
  Transport,
} from '@nestjs/microservices';
import { IsInt } from 'class-validator';
import { map, type Observable, of } from 'rxjs';
import {
  DuplicateTaskError,
  InvalidArgumentsError,
  InvalidTaskError,
  OnFailure,
  RemoteTaskError,
  Retry,
  SoftTimeLimitExceededError,
  Task,
  TaskContext,
  type TaskFailure,
  TaskQueueModule,
  Tasks,
  getWorkflowServiceToken,
  type WorkflowService,
} from 'nestjs-task-queue';
import {
  type PatternRequest,
  TASK_QUEUE_TRANSPORT,
  TaskQueueContext,
  TaskQueueMicroserviceModule,
  type TaskPatternOptions,
  TaskQueueServer,
} from 'nestjs-task-queue/microservice';
import {
  type AppSpec,
  redisUrl,
  Runs,
  type TestApp,
  uniquePrefix,
  until,
  useApps,
} from '../support/app-fixture.js';

const WITHIN_MS = 60_000;
const fixture = useApps();

/** Boots a standalone microservice. */
function boot(spec: AppSpec, configure?: (app: INestMicroservice) => void): Promise<TestApp> {
  return fixture.boot({
    imports: [TaskQueueMicroserviceModule],
    ...spec,
    create: async (module, log) => {
      const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(module, {
        logger: log,
        abortOnError: false,
        inject: [TaskQueueServer],
        useFactory: (strategy: TaskQueueServer) => ({ strategy }),
      });
      configure?.(app);
      await app.listen();
      return app;
    },
  });
}

/** What a message comes to. */
async function call(workflows: WorkflowService, pattern: string, payload?: unknown): Promise<unknown> {
  const signature = workflows.signature(pattern, payload === undefined ? [] : [payload]);
  return (await signature.delay()).get({ timeout: WITHIN_MS });
}

class Declined extends Error {
  override name = 'Declined';
}
class Busy extends Error {
  override name = 'Busy';
}

describe('the arguments of a handler', () => {
  class OrderDto {
    @IsInt()
    amount!: number;
  }

  @Controller()
  class Handlers {
    @MessagePattern('plain')
    plain(payload: unknown): unknown {
      return payload;
    }

    @MessagePattern('payload')
    @UsePipes(new ValidationPipe({ transform: true }))
    payload(@Payload() order: OrderDto, @Ctx() context: TaskQueueContext): unknown[] {
      return [order instanceof OrderDto, context instanceof TaskQueueContext, context.getPattern()];
    }

    @MessagePattern('field')
    field(@Payload('amount', ParseIntPipe) amount: number, @Ctx() task: TaskContext): unknown[] {
      return [amount, task instanceof TaskContext, task.attempt];
    }

    @MessagePattern({ cmd: 'observable', v: 2 })
    observable(): Observable<number> {
      return of(1, 2, 3);
    }

    @MessagePattern(['first', 'second'])
    several(@Ctx() context: TaskQueueContext): string {
      return context.getPattern();
    }
  }

  it('are the payload, its fields and the context, through their pipes', async () => {
    const { workflows } = await boot({ controllers: [Handlers] });
    await expect(call(workflows, 'plain', { a: [1] })).resolves.toEqual({ a: [1] });
    await expect(call(workflows, 'plain')).resolves.toBeNull();
    await expect(call(workflows, 'payload', { amount: 3 })).resolves.toEqual([true, true, 'payload']);
    await expect(call(workflows, 'field', { amount: '12' })).resolves.toEqual([12, true, 1]);
    await expect(call(workflows, '{"cmd":"observable","v":2}')).resolves.toBe(3);
    await expect(call(workflows, 'first')).resolves.toBe('first');
    await expect(call(workflows, 'second')).resolves.toBe('second');
  });

  it('that a pipe refuses end the task with what is wrong with them', async () => {
    const { workflows } = await boot({ controllers: [Handlers] });
    const error = (await call(workflows, 'payload', { amount: 'much' }).catch(
      (thrown: unknown) => thrown,
    )) as Error;
    expect(error).toBeInstanceOf(InvalidArgumentsError);
    expect(error.message).toContain('amount must be an integer number');
  });

  it('are the value of the step before in a canvas', async () => {
    const { workflows } = await boot({ controllers: [Handlers] });
    const step = (pattern: string, ...args: unknown[]) => workflows.signature(pattern, args);
    const chord = workflows.chord([step('plain', 1), step('plain', 2)], step('plain') as never);
    await expect((await chord.applyAsync()).get({ timeout: WITHIN_MS })).resolves.toEqual([1, 2]);
  });
});

describe('a failing handler', () => {
  @Controller()
  class Shop {
    constructor(private readonly runs: Runs) {}

    @MessagePattern('charge')
    @Retry({ for: [Busy], maxRetries: 3, backoff: { type: 'fixed', delay: 10 } })
    charge(@Payload() name: string): string {
      this.runs.record('charge', name);
      if (name === 'declined') throw new Declined('no money');
      if (this.runs.count('charge') < 3) throw new Busy('later');
      return 'charged';
    }

    @MessagePattern('again')
    again(@Ctx() context: TaskQueueContext): number {
      const task = context.getTask();
      if (task.attempt < 2) task.retry({ countdown: 5, maxRetries: 1 });
      return task.attempt;
    }

    @MessagePattern('rpc')
    rpc(): never {
      throw new RpcException({ code: 402, message: 'pay first' });
    }

    @MessagePattern('slow', { softTimeLimit: 50, queue: 'slow' } satisfies TaskPatternOptions)
    async slow(@Ctx() task: TaskContext): Promise<void> {
      await new Promise((_, reject) => {
        task.signal.addEventListener('abort', () => reject(task.signal.reason as Error));
      });
    }

    @OnFailure('charge')
    onFailure(failure: TaskFailure): void {
      this.runs.record('hook', failure.error.name);
    }

    @OnFailure()
    onAny(failure: TaskFailure): void {
      this.runs.record('hook of all', failure.request.name);
    }
  }

  @Injectable()
  class Errbacks {
    constructor(private readonly runs: Runs) {}

    @Task()
    errback(failure: TaskFailure): void {
      this.runs.record('errback', failure.error);
    }
  }
  const spec: AppSpec = {
    controllers: [Shop],
    providers: [Errbacks],
    options: { errors: [Declined] },
  };

  it('is tried again after the errors that its @Retry names, and not after others', async () => {
    const { workflows, runs } = await boot(spec);
    await expect(call(workflows, 'charge', 'busy')).resolves.toBe('charged');
    expect(runs.count('charge')).toBe(3);
    await expect(call(workflows, 'charge', 'declined')).rejects.toBeInstanceOf(Declined);
    expect(runs.count('charge')).toBe(4);
    await expect(call(workflows, 'again')).resolves.toBe(2);
  });

  it('has its errback, its hooks and its record, with the error as it was', async () => {
    const { workflows, runs } = await boot(spec);
    const errback = workflows.tasks(Errbacks).errback.s();
    const handle = await workflows
      .signature('charge', ['declined'])
      .linkError(errback as never)
      .delay();
    await expect(handle.get({ timeout: WITHIN_MS })).rejects.toThrow('no money');
    await runs.reached('errback');
    await runs.reached('hook');
    await runs.reached('hook of all');
    expect(runs.of('errback')).toMatchObject([{ name: 'Declined', message: 'no money' }]);
    expect(runs.of('hook')).toEqual(['Declined']);
    expect(runs.of('hook of all')).toEqual(['charge']);
    expect(await handle.failure()).toMatchObject({
      reason: 'error',
      request: { name: 'charge', args: ['declined'], attempt: 1 },
      error: { name: 'Declined', message: 'no money' },
    });
  });

  it('may throw an RpcException, which arrives as one', async () => {
    const { workflows } = await boot(spec);
    const error = await call(workflows, 'rpc').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RpcException);
    expect((error as RpcException).getError()).toEqual({ code: 402, message: 'pay first' });
  });

  it('is bound by the limits, and served from the queue, that its extras name', async () => {
    const { workflows } = await boot(spec);
    await expect(call(workflows, 'slow')).rejects.toBeInstanceOf(SoftTimeLimitExceededError);
    const handle = await workflows.signature('slow').delay();
    await expect(handle.failure()).resolves.toBeUndefined();
    await handle.get({ timeout: WITHIN_MS, propagate: false });
    expect(await handle.failure()).toMatchObject({ request: { queue: 'slow' } });
  });
});

describe('an event', () => {
  @Controller()
  class Audit {
    constructor(private readonly runs: Runs) {}

    @EventPattern('user.created')
    audit(@Payload() name: string): void {
      this.runs.record('audit', name);
    }
  }

  @Controller()
  class Welcome {
    constructor(private readonly runs: Runs) {}

    @EventPattern<string>('user.created', { queue: 'mails' })
    @Retry({ maxRetries: 2, backoff: { type: 'fixed', delay: 10 } })
    mail(@Payload() name: string, @Ctx() context: TaskQueueContext): void {
      this.runs.record('mail', { name, headers: context.getHeaders() });
      if (this.runs.count('mail') < 3) throw new Busy('mail server');
    }

    @EventPattern<string>('user.created')
    fails(): never {
      throw new Declined('never');
    }

    @OnFailure('user.created')
    onFailure(failure: TaskFailure): void {
      this.runs.record('hook', failure.request.name);
    }
  }

  it('with several handlers runs each of them, and repeats only the one that fails', async () => {
    const { workflows, runs } = await boot({ controllers: [Audit, Welcome] });
    const event = await workflows.signature('user.created', ['Ada']).stamp({ tenant: 'a' }).delay();
    const { handlers } = (await event.get({ timeout: WITHIN_MS })) as unknown as { handlers: string };
    const group = workflows.groupResult(handlers);
    await until(async () => group.ready(), 'all handlers have ended');
    expect(runs.of('audit')).toEqual(['Ada']);
    expect(runs.of('mail')).toEqual(Array(3).fill({ name: 'Ada', headers: { tenant: 'a' } }));
    expect((await group.settled()).map(({ status }) => status).sort()).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
    ]);
    await runs.reached('hook');
    expect(runs.of('hook')).toEqual(['user.created#Welcome.fails']);
  });

  it('of one id is handed on once', async () => {
    const { workflows, runs } = await boot({ controllers: [Audit, Welcome] });
    const event = workflows.signature('user.created', ['Ada']);
    const first = await event.applyAsync([], { taskId: 'event-1' });
    const second = await event.applyAsync([], { taskId: 'event-1' });
    const { handlers } = (await first.get({ timeout: WITHIN_MS })) as unknown as { handlers: string };
    expect(second.id).toBe(first.id);
    expect(handlers).toBe('event-1-handlers');
    await until(() => workflows.groupResult(handlers).ready(), 'all handlers have ended');
    expect(runs.count('audit')).toBe(1);
  });
});

describe('what runs around a handler', () => {
  @Injectable()
  class Trace implements CanActivate, NestInterceptor {
    constructor(private readonly runs: Runs) {}

    canActivate(context: ExecutionContext): boolean {
      const rpc = context.switchToRpc();
      this.runs.record('guard', [
        context.getType(),
        `${context.getClass().name}.${context.getHandler().name}`,
        rpc.getData(),
        rpc.getContext<TaskQueueContext>().getTask().name,
      ]);
      return rpc.getData() !== 'forbidden';
    }

    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      this.runs.record('interceptor', context.getType());
      return next.handle().pipe(map((value) => `<${String(value)}>`));
    }
  }

  @Catch(Busy)
  class BusyFilter implements ExceptionFilter {
    catch(error: Busy): never {
      throw new Declined(`was ${error.message}`);
    }
  }

  @Injectable({ scope: Scope.REQUEST })
  class Scoped {
    constructor(
      @Inject(REQUEST) readonly request: PatternRequest,
      runs: Runs,
    ) {
      runs.record('scoped');
    }
  }

  @Injectable()
  class ScopedGuard implements CanActivate {
    constructor(private readonly scoped: Scoped) {}
    canActivate(context: ExecutionContext): boolean {
      return this.scoped.request.context === context.switchToRpc().getContext();
    }
  }

  @Controller()
  @UseGuards(Trace)
  @UseInterceptors(Trace)
  class Handlers {
    constructor(private readonly runs: Runs) {}

    @MessagePattern('traced')
    traced(@Payload() payload: string): string {
      return payload;
    }

    @MessagePattern('filtered')
    @UseFilters(BusyFilter)
    @Retry({ for: [Busy], maxRetries: 5, backoff: { type: 'fixed', delay: 10 } })
    filtered(): never {
      this.runs.record('filtered');
      throw new Busy('hour');
    }

    @MessagePattern('steered')
    @UseFilters(BusyFilter)
    steered(@Ctx() task: TaskContext): string {
      if (task.attempt === 1)
        task.retry({ countdown: 5, error: new Busy('not for the filter'), maxRetries: 1 });
      return 'second';
    }
  }

  @Controller()
  @UseGuards(ScopedGuard)
  class ScopedHandlers {
    constructor(private readonly scoped: Scoped) {}

    @MessagePattern('scoped')
    @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 5 } })
    who(@Payload() payload: string, @Ctx() context: TaskQueueContext): unknown[] {
      const { request } = this.scoped;
      if (context.getTask().attempt === 1) throw new Busy('once more');
      return [
        request.getPattern(),
        request.getData() === payload,
        request.context === context,
        request.task.attempt,
      ];
    }
  }

  const spec: AppSpec = {
    controllers: [Handlers, ScopedHandlers],
    providers: [Trace, Scoped],
    options: { errors: [Declined] },
  };

  it('are guards, interceptors and filters of kind rpc, as on every transport', async () => {
    const { workflows, runs } = await boot(spec);
    await expect(call(workflows, 'traced', 'a')).resolves.toBe('<a>');
    expect(runs.of('guard')).toEqual([['rpc', 'Handlers.traced', 'a', 'traced']]);
    expect(runs.of('interceptor')).toEqual(['rpc']);
    await expect(call(workflows, 'traced', 'forbidden')).rejects.toThrow('Forbidden resource');
  });

  it('a filter decides about the error before the retry is decided, and never sees a retry', async () => {
    const { workflows, runs } = await boot(spec);
    await expect(call(workflows, 'filtered')).rejects.toThrow('was hour');
    expect(runs.count('filtered')).toBe(1);
    await expect(call(workflows, 'steered')).resolves.toBe('<second>');
  });

  it('a request-scoped controller and its guards are made anew for each attempt', async () => {
    const { workflows, runs } = await boot(spec);
    await expect(call(workflows, 'scoped', 'x')).resolves.toEqual(['scoped', true, true, 2]);
    expect(runs.count('scoped')).toBe(2);
  });

  it('are global ones of the application as well, also request-scoped', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class GlobalGuard implements CanActivate {
      constructor(
        @Inject(REQUEST) private readonly request: PatternRequest,
        private readonly runs: Runs,
      ) {}
      canActivate(): boolean {
        this.runs.record('global', this.request.task.attempt);
        return true;
      }
    }
    const { workflows, runs } = await boot({
      ...spec,
      providers: [Trace, Scoped, { provide: APP_GUARD, useClass: GlobalGuard }],
    });
    await expect(call(workflows, 'traced', 'a')).resolves.toBe('<a>');
    expect(runs.of('global')).toEqual([1]);
  });

  it('are those that a standalone microservice adds itself, and its pre-request hooks', async () => {
    const seen: string[] = [];
    const { workflows } = await boot(spec, (app) => {
      app.useGlobalPipes({
        transform: (value: unknown) => (typeof value === 'string' ? `${value}!` : value),
      });
      app.registerPreRequestHook((context, next) => {
        seen.push(
          `${context.getType()} ${context.switchToRpc().getContext<TaskQueueContext>().getPattern()}`,
        );
        return next();
      });
    });
    await expect(call(workflows, 'traced', 'a')).resolves.toBe('<a!>');
    await expect(call(workflows, 'filtered')).rejects.toThrow('was hour');
    expect(seen).toEqual(['rpc traced', 'rpc filtered']);
  });

  it('are the processing hooks of the server', async () => {
    const { app, workflows, runs } = await boot(spec);
    const server = app.get(TaskQueueServer);
    server.setOnProcessingStartHook((transport, context, done) => {
      runs.record('start', [transport === TASK_QUEUE_TRANSPORT, (context as TaskQueueContext).getPattern()]);
      void done();
    });
    server.setOnProcessingEndHook((_, context) =>
      runs.record('end', (context as TaskQueueContext).getPattern()),
    );
    await expect(call(workflows, 'traced', 'a')).resolves.toBe('<a>');
    await expect(call(workflows, 'filtered')).rejects.toThrow();
    expect(runs.of('start')).toEqual([
      [true, 'traced'],
      [true, 'filtered'],
    ]);
    expect(runs.of('end')).toEqual(['traced', 'filtered']);
  });
});

describe('handlers of several registrations', () => {
  @Controller()
  @Tasks({ connection: 'billing' })
  class Billing {
    @MessagePattern('charge')
    charge(): string {
      return 'billing';
    }
    @EventPattern<string>('paid')
    paid(): void {}
  }
  @Controller()
  class Shop {
    @MessagePattern('sell')
    sell(): string {
      return 'default';
    }
    @MessagePattern('refund', { connection: 'billing' })
    refund(): string {
      return 'billing by extras';
    }
  }
  const named = (prefix: string) => {
    const connection = { url: redisUrl(), connectionName: prefix };
    return TaskQueueModule.forRoot({ name: 'billing', connection, prefix: `${prefix}-billing` });
  };

  it('go where extras, the class or the server say, and start and end with one server', async () => {
    const prefix = uniquePrefix('several');
    fixture.adopt(`${prefix}-billing`);
    const app = await boot({
      prefix,
      imports: [TaskQueueMicroserviceModule, named(prefix)],
      controllers: [Billing, Shop],
    });
    const billing = app.app.get<WorkflowService>(getWorkflowServiceToken('billing'));
    await expect(call(billing, 'charge')).resolves.toBe('billing');
    await expect(call(billing, 'refund')).resolves.toBe('billing by extras');
    await expect(call(app.workflows, 'sell')).resolves.toBe('default');
    await expect(call(app.workflows, 'charge')).rejects.toThrow('belongs to the connection "billing"');
  });

  it('of one event belong to one of them', async () => {
    @Controller()
    class Elsewhere {
      @EventPattern<string>('paid')
      paid(): void {}
    }
    const prefix = uniquePrefix('several');
    await expect(
      boot({
        prefix,
        imports: [TaskQueueMicroserviceModule, named(prefix)],
        controllers: [Billing, Elsewhere],
      }),
    ).rejects.toThrow(
      'Billing.paid and Elsewhere.paid handle the event "paid" and belong to different connections',
    );
  });
});

describe('which handlers are served', () => {
  @Controller()
  class Handlers {
    @MessagePattern('of-any')
    any(): string {
      return 'any';
    }
    @MessagePattern('of-tasks', TASK_QUEUE_TRANSPORT)
    ours(): string {
      return 'ours';
    }
    @MessagePattern('of-tcp', Transport.TCP)
    theirs(): string {
      return 'theirs';
    }
  }

  it('those that name this transport or none', async () => {
    const { workflows } = await boot({ controllers: [Handlers] });
    await expect(call(workflows, 'of-any')).resolves.toBe('any');
    await expect(call(workflows, 'of-tasks')).resolves.toBe('ours');
    await expect(call(workflows, 'of-tcp')).rejects.toThrow('No @Task method named "of-tcp"');
  });

  it('refuses a name that is there twice, naming both', async () => {
    @Controller()
    class Other {
      @MessagePattern('of-any')
      another(): void {}
    }
    @Injectable()
    class Tasks {
      @Task({ name: 'of-tasks' })
      task(): void {}
    }
    await expect(boot({ controllers: [Handlers, Other] })).rejects.toThrow(DuplicateTaskError);
    await expect(boot({ controllers: [Handlers], providers: [Tasks] })).rejects.toThrow(
      'Task name "of-tasks" is declared by Tasks.task in AppModule and again by Handlers.ours in AppModule',
    );
  });

  it('refuses extras and patterns that cannot be read, naming the method', async () => {
    @Controller()
    class Extras {
      @MessagePattern('a', { queue: '_own', qos: 1 })
      handle(): void {}
    }
    await expect(boot({ controllers: [Extras] })).rejects.toThrow(InvalidTaskError);
    await expect(boot({ controllers: [Extras] })).rejects.toThrow('Extras.handle: Option queue:');
    @Controller()
    class Pattern {
      @MessagePattern(undefined as never)
      handle(): void {}
    }
    await expect(boot({ controllers: [Pattern] })).rejects.toThrow('Pattern.handle: a pattern is a text');
  });

  it('an error class that nobody registered arrives as a RemoteTaskError', async () => {
    @Controller()
    class Failing {
      @MessagePattern('fails')
      fails(): never {
        throw new Busy('x');
      }
    }
    const { workflows } = await boot({ controllers: [Failing] });
    await expect(call(workflows, 'fails')).rejects.toBeInstanceOf(RemoteTaskError);
  });
});
