import {
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  type CallHandler,
  Scope,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import {
  APP_GUARD,
  type ContextId,
  ContextIdFactory,
  type ContextIdStrategy,
  type HostComponentInfo,
  ModuleRef,
  REQUEST,
} from '@nestjs/core';
import type { Observable } from 'rxjs';
import { InvalidTaskError } from '../../errors/configuration.errors.js';
import { TaskRegistry } from '../../task/task-registry.js';
import { currentTask, TaskContext } from '../../task/task-context.js';
import { Task } from '../decorators/task.decorator.js';
import { createApp, makeContext, type SpecApp, startApp } from './app.fixture.js';
import { TaskExplorer } from './task.explorer.js';
import type { TaskRequest } from './task-request.js';

let made = 0;
let lines: string[] = [];
let spec: SpecApp | undefined;
beforeEach(() => {
  made = 0;
  lines = [];
});
afterEach(() => spec?.app.close());
const start = async (...args: Parameters<typeof startApp>): Promise<SpecApp> =>
  (spec = await startApp(...args));

@Injectable({ scope: Scope.REQUEST })
class AttemptScope {
  readonly number = ++made;
  constructor(@Inject(REQUEST) readonly request: TaskRequest) {}
}

@Injectable()
class ScopedTasks {
  readonly number = ++made;
  constructor(readonly scope: AttemptScope) {}

  @Task()
  async who(value: string, task: TaskContext): Promise<unknown[]> {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const { request } = this.scope;
    return [value, request.task === task, request.args, currentTask() === task, this.number];
  }
}

@Injectable({ scope: Scope.REQUEST })
class ScopedGuard implements CanActivate {
  readonly number = ++made;
  constructor(private readonly scope: AttemptScope) {}
  canActivate(context: ExecutionContext): boolean {
    const task = context.switchToRpc().getContext<TaskContext>();
    lines.push(`guard ${this.number} ${this.scope.request.task === task}`);
    return true;
  }
}

@Injectable()
class PlainTasks {
  readonly number = ++made;
  @Task()
  run(value: string): string {
    return value;
  }
}

describe('a task whose provider is request-scoped', () => {
  it('gets an instance per attempt, also when attempts run side by side', async () => {
    const { registry, runIn } = await start({ providers: [ScopedTasks, AttemptScope] });
    expect(registry.all().map((task) => task.name)).toEqual(['ScopedTasks.who']);
    const results = (await Promise.all(
      ['a', 'b', 'c', 'd'].map((value) => runIn(makeContext({ id: value }), 'ScopedTasks.who', value)),
    )) as unknown[][];
    for (const [index, value] of ['a', 'b', 'c', 'd'].entries()) {
      expect(results[index]?.slice(0, 4)).toEqual([value, true, [value], true]);
    }
    expect(new Set(results.map((result) => result[4])).size).toBe(4);
  });

  it('gets one instance for guard, interceptor and handler of an attempt', async () => {
    @Injectable()
    class ScopedInterceptor implements NestInterceptor {
      constructor(private readonly scope: AttemptScope) {}
      intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
        lines.push(`interceptor ${this.scope.number}`);
        return next.handle();
      }
    }
    @Injectable()
    class OwnGuard implements CanActivate {
      constructor(private readonly scope: AttemptScope) {}
      async canActivate(context: ExecutionContext): Promise<boolean> {
        const task = context.switchToRpc().getContext<TaskContext>();
        lines.push(`guard ${this.scope.number}`);
        const again = ContextIdFactory.getByRequest(this.scope.request);
        const scope = await spec?.app.get(ModuleRef).resolve(AttemptScope, again, { strict: false });
        return scope === this.scope && task === this.scope.request.task;
      }
    }
    @Injectable()
    @UseGuards(OwnGuard)
    @UseInterceptors(ScopedInterceptor)
    class Tasks {
      constructor(private readonly scope: AttemptScope) {}
      @Task()
      number(): number {
        return this.scope.number;
      }
    }
    const { run } = await start({ providers: [Tasks, AttemptScope] });
    await expect(run('Tasks.number')).resolves.toBe(1);
    await expect(run('Tasks.number')).resolves.toBe(2);
    expect(lines).toEqual(['guard 1', 'interceptor 1', 'guard 2', 'interceptor 2']);
  });

  it('fails with what the constructor of a provider throws, and may succeed the next time', async () => {
    class Unready extends Error {}
    @Injectable({ scope: Scope.REQUEST })
    class Session {
      constructor(@Inject(REQUEST) { task }: TaskRequest) {
        if (task.attempt === 1) throw new Unready('not yet');
      }
    }
    @Injectable()
    class Tasks {
      constructor(readonly session: Session) {}
      @Task()
      run(): string {
        return 'ready';
      }
    }
    const { runIn } = await start({ providers: [Session, Tasks] });
    await expect(runIn(makeContext({ attempt: 1 }), 'Tasks.run')).rejects.toBeInstanceOf(Unready);
    await expect(runIn(makeContext({ attempt: 2 }), 'Tasks.run')).resolves.toBe('ready');
  });

  it('is transient too: an instance per attempt', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Tasks {
      readonly number = ++made;
      @Task()
      run(): number {
        return this.number;
      }
    }
    const { run } = await start({ providers: [Tasks] });
    const first = (await run('Tasks.run')) as number;
    expect(await run('Tasks.run')).toBe(first + 1);
  });

  it('shares an instance among attempts of a tenant when it is durable', async () => {
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Tasks {
      readonly number = ++made;
      constructor(@Inject(REQUEST) private readonly payload: { tenant: string }) {}
      @Task()
      run(): unknown[] {
        return [this.number, this.payload.tenant];
      }
    }
    const tenants = new Map<unknown, ContextId>();
    const byTenant: ContextIdStrategy<TaskRequest> = {
      attach(contextId, request) {
        const tenant = request.headers.tenant;
        const parent = tenants.get(tenant) ?? ContextIdFactory.create();
        tenants.set(tenant, parent);
        return {
          resolve: (info: HostComponentInfo) => (info.isTreeDurable ? parent : contextId),
          payload: { tenant },
        };
      },
    };
    ContextIdFactory.apply(byTenant as ContextIdStrategy);
    try {
      const { runIn } = await start({ providers: [Tasks] });
      const as = (tenant: string) => runIn(makeContext({ headers: { tenant } }), 'Tasks.run');
      expect([await as('a'), await as('b'), await as('a')]).toEqual([
        [1, 'a'],
        [2, 'b'],
        [1, 'a'],
      ]);
    } finally {
      ContextIdFactory.apply(undefined as never);
    }
  });
});

describe('request-scoped enhancers of a provider that is not', () => {
  it('are made anew for each attempt: a guard of the class', async () => {
    @Injectable()
    @UseGuards(ScopedGuard)
    class Tasks extends PlainTasks {}
    const { run } = await start({ providers: [Tasks, AttemptScope] });
    await expect(run('Tasks.run', 'a')).resolves.toBe('a');
    await expect(run('Tasks.run', 'b')).resolves.toBe('b');
    expect(lines).toHaveLength(2);
    expect(new Set(lines).size).toBe(2);
    expect(lines.every((line) => line.endsWith('true'))).toBe(true);
  });

  it('are made anew for each attempt: APP_GUARD', async () => {
    const { run } = await start({
      providers: [PlainTasks, AttemptScope, { provide: APP_GUARD, useClass: ScopedGuard }],
    });
    await expect(run('PlainTasks.run', 'a')).resolves.toBe('a');
    await expect(run('PlainTasks.run', 'b')).resolves.toBe('b');
    expect(new Set(lines).size).toBe(2);
    expect(lines.every((line) => line.endsWith('true'))).toBe(true);
  });

  it('are refused where Nest would leave them out without a word', async () => {
    const factory = { provide: 'plain', useFactory: () => new PlainTasks() };
    const app = await createApp({
      providers: [factory, AttemptScope, { provide: APP_GUARD, useClass: ScopedGuard }],
    });
    expect(() => app.get(TaskExplorer).explore(new TaskRegistry())).toThrow(InvalidTaskError);
    expect(() => app.get(TaskExplorer).explore(new TaskRegistry())).toThrow(
      'leave out the request-scoped global guards, pipes, interceptors and filters. Provide the class itself',
    );

    @UseGuards(ScopedGuard)
    class Guarded extends PlainTasks {}
    const other = await createApp({
      providers: [{ provide: 'guarded', useValue: new Guarded() }, AttemptScope],
    });
    expect(() => other.get(TaskExplorer).explore(new TaskRegistry())).toThrow(
      'Guarded.run: a factory or a value provides Guarded in RootTestModule, and Nest would then leave out ' +
        'ScopedGuard. Provide the class itself, or by useClass.',
    );
  });

  it('run for a factory whose token is the class', async () => {
    const { run } = await start({
      providers: [
        { provide: PlainTasks, useFactory: () => new PlainTasks() },
        AttemptScope,
        { provide: APP_GUARD, useClass: ScopedGuard },
      ],
    });
    await expect(run('PlainTasks.run', 'a')).resolves.toBe('a');
    expect(lines).toHaveLength(1);
  });

  it('run for a class behind another token', async () => {
    @Injectable()
    @UseGuards(ScopedGuard)
    class Tasks extends PlainTasks {}
    const { run } = await start({ providers: [{ provide: 'tasks', useClass: Tasks }, AttemptScope] });
    await expect(run('Tasks.run', 'a')).resolves.toBe('a');
    expect(lines).toHaveLength(1);
  });
});
