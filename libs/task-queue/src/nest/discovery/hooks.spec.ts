import { Inject, Injectable, Scope } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { of } from 'rxjs';
import type { TaskFailure } from '../../failure/task-failure.js';
import type { HookKind, TaskSuccess } from '../../task/task-definition.js';
import { OnFailure, OnRetry, OnRevoked, OnSuccess } from '../decorators/hook.decorators.js';
import { Task } from '../decorators/task.decorator.js';
import { ContractTasks } from './tasks.fixture.js';
import { explore, refusalOf, startApp } from './app.fixture.js';
import type { HookRequest } from './task-request.js';

describe('hooks', () => {
  const failure = { reason: 'error' } as TaskFailure;

  it('are for every task of their class, for named methods, or for named tasks', async () => {
    const seen: string[] = [];
    @Injectable()
    class OtherTasks {
      @Task()
      first(): void {}
      @Task({ name: 'second-task' })
      second(): void {}
      @OnFailure()
      all({ reason }: TaskFailure) {
        seen.push(`all ${reason}`);
        return of(1);
      }
      @OnFailure('second')
      @OnRevoked('second')
      one(): void {
        seen.push('one');
      }
      @OnRetry('second-task', 'second', 'ContractTasks.process')
      foreign(): void {}
      @OnSuccess('first')
      @OnSuccess('second')
      async twice(): Promise<void> {
        throw new Error('from the hook');
      }
    }
    const registry = await explore({ providers: [OtherTasks, ContractTasks] });
    const sources = (task: string, kind: HookKind) => registry.hooksOf(task, kind).map((hook) => hook.source);
    expect(sources('OtherTasks.first', 'failure')).toEqual(['OtherTasks.all']);
    expect(sources('second-task', 'failure')).toEqual(['OtherTasks.all', 'OtherTasks.one']);
    expect(sources('second-task', 'revoked')).toEqual(['OtherTasks.one']);
    expect(sources('second-task', 'retry')).toEqual(['OtherTasks.foreign']);
    expect(sources('ContractTasks.process', 'retry')).toEqual(['OtherTasks.foreign']);
    expect(sources('ContractTasks.process', 'failure')).toEqual([]);
    expect(sources('OtherTasks.first', 'success')).toEqual(['OtherTasks.twice']);
    for (const hook of registry.hooksOf('second-task', 'failure')) await hook.invoke(failure);
    expect(seen).toEqual(['all error', 'one']);
    const [twice] = registry.hooksOf('OtherTasks.first', 'success');
    await expect(twice?.invoke(failure)).rejects.toThrow('from the hook');
  });

  it('of a base class are for the tasks of each subclass', async () => {
    abstract class Base {
      @Task()
      run(): void {}
      @OnFailure()
      failed(): void {}
    }
    @Injectable()
    class Sub extends Base {}
    const registry = await explore({ providers: [Sub] });
    expect(registry.hooksOf('Sub.run', 'failure').map((hook) => hook.source)).toEqual(['Sub.failed']);
  });

  it('are refused for a task that does not exist', async () => {
    @Injectable()
    class Tasks {
      @Task()
      process(): void {}
      @OnFailure('proces')
      failed(): void {}
    }
    expect((await refusalOf({ providers: [Tasks] })).message).toBe(
      'Tasks.failed is a hook of "proces", which is neither a task method of Tasks nor the name of a task of this ' +
        'application (did you mean "process"?).',
    );
  });

  it('are refused without a name in a class without tasks', async () => {
    @Injectable()
    class Hooks {
      @OnFailure()
      failed(): void {}
    }
    expect((await refusalOf({ providers: [Hooks, ContractTasks] })).message).toBe(
      'Hooks.failed is a hook of a class without tasks: name the tasks it is for.',
    );
  });

  it('run on the instance, one of their own where the class is request-scoped', async () => {
    let made = 0;
    const lines: string[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class Tasks {
      readonly number = ++made;
      constructor(@Inject(REQUEST) private readonly request: HookRequest) {}
      @Task()
      run(): void {}
      @OnSuccess()
      done(success: TaskSuccess): void {
        lines.push(`${this.number} ${this.request.hook} ${this.request.payload === success} ${success.id}`);
      }
    }
    const { registry, app } = await startApp({ providers: [Tasks] });
    const [hook] = registry.hooksOf('Tasks.run', 'success');
    await hook?.invoke({ id: '1', name: 'Tasks.run', args: [], value: 'x' });
    await hook?.invoke({ id: '2', name: 'Tasks.run', args: [], value: 'y' });
    expect(lines).toEqual(['1 success true 1', '2 success true 2']);
    await app.close();
  });

  it('have the headers of the call in their request, for providers of its tenant', async () => {
    const tenants: unknown[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class Tasks {
      constructor(@Inject(REQUEST) private readonly request: HookRequest) {}
      @Task()
      run(): void {}
      @OnSuccess()
      @OnFailure()
      @OnRetry()
      ended(): void {
        tenants.push(this.request.headers);
      }
    }
    const { registry, app } = await startApp({ providers: [Tasks] });
    const call = async (kind: HookKind, payload: object) =>
      registry.hooksOf('Tasks.run', kind)[0]?.invoke(payload as TaskSuccess);
    const failed = { request: { headers: { tenant: 'b' } }, error: {}, reason: 'error' };
    await call('success', { id: '1', name: 'Tasks.run', args: [], value: 1, headers: { tenant: 'a' } });
    await call('failure', failed);
    await call('retry', { failure: failed, delayMs: 1 });
    await call('success', { id: '1', name: 'Tasks.run', args: [], value: 1 });
    expect(tenants).toEqual([{ tenant: 'a' }, { tenant: 'b' }, { tenant: 'b' }, {}]);
    await app.close();
  });
});
