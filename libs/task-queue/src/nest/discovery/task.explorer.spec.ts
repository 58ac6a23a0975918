import { Injectable, Module } from '@nestjs/common';
import { DuplicateTaskError } from '../../errors/configuration.errors.js';
import { TaskContext } from '../../task/task-context.js';
import { Retry } from '../decorators/retry.decorator.js';
import { Task } from '../decorators/task.decorator.js';
import { ContractTasks } from './tasks.fixture.js';
import { explore, refusalOf, startApp } from './app.fixture.js';

describe('discovery', () => {
  it('finds tasks of any provider of any module, with their options', async () => {
    @Module({ providers: [ContractTasks] })
    class FeatureModule {}
    const registry = await explore({
      imports: [FeatureModule],
      providers: [{ provide: 'x', useValue: null }],
    });
    expect(
      registry.all().map(({ name, queue, source, options }) => ({ name, queue, source, options })),
    ).toEqual([
      {
        name: 'ContractTasks.process',
        queue: 'default',
        source: 'ContractTasks.process',
        options: { softTimeLimitMs: 30_000, timeLimitMs: 45_000, ignoreResult: false, priority: 3 },
      },
      { name: 'report', queue: 'reports', source: 'ContractTasks.build', options: { ignoreResult: true } },
    ]);
    expect(registry.get('ContractTasks.process')?.policies.map((policy) => policy.maxRetries)).toEqual([
      5, 1,
    ]);
    expect(registry.get('report')?.policies).toEqual([]);
  });

  it('finds a class behind a factory or a value, and counts one object once', async () => {
    const value = new ContractTasks();
    const registry = await explore({
      providers: [
        { provide: 'value', useValue: value },
        { provide: 'alias', useExisting: 'value' },
        { provide: 'factory', useFactory: () => value },
        { provide: 'list', useValue: [value] },
        { provide: 'text', useValue: 'x' },
        { provide: ContractTasks, useValue: null },
        { provide: 'bare', useValue: Object.create(null) as object },
      ],
    });
    expect(registry.all()).toHaveLength(2);
  });

  it('gives every subclass the tasks of its base, under its own name', async () => {
    abstract class Base<T> {
      @Task({ queue: 'base' })
      @Retry({ maxRetries: 2 })
      run(value: T, _task: TaskContext): T {
        return value;
      }
      @Task()
      other(): string {
        return 'base';
      }
    }
    @Injectable()
    class First extends Base<string> {}
    @Injectable()
    class Second extends Base<number> {
      // Without a decorator, it is still the task that the base declares.
      override run(value: number): number {
        return value + 1;
      }
      @Task({ queue: 'second' })
      override other(): string {
        return 'second';
      }
    }
    const { registry, run, app } = await startApp({ providers: [First, Second] });
    expect(registry.all().map(({ name, queue, policies }) => [name, queue, policies.length])).toEqual([
      ['First.run', 'base', 1],
      ['First.other', 'default', 0],
      ['Second.run', 'base', 1],
      ['Second.other', 'second', 0],
    ]);
    await expect(run('First.run', 'a')).resolves.toBe('a');
    await expect(run('Second.run', 1)).resolves.toBe(2);
    await expect(run('Second.other')).resolves.toBe('second');
    await app.close();
  });
});

describe('names', () => {
  it('are refused when two methods claim one, naming both', async () => {
    @Injectable()
    class OtherTasks {
      @Task({ name: 'report' })
      run(): void {}
    }
    const refusal = await refusalOf({ providers: [ContractTasks, OtherTasks] });
    expect(refusal).toBeInstanceOf(DuplicateTaskError);
    expect(refusal.message).toBe(
      'Task name "report" is declared by ContractTasks.build in RootTestModule and again by OtherTasks.run in ' +
        "RootTestModule. Give one of them a name of its own: @Task({ name: '…' }).",
    );
  });

  it('are refused when one class is provided by two modules, with the remedy', async () => {
    @Module({ providers: [ContractTasks] })
    class AModule {}
    @Module({ providers: [ContractTasks] })
    class BModule {}
    const refusal = await refusalOf({ imports: [AModule, BModule] });
    expect(refusal).toBeInstanceOf(DuplicateTaskError);
    expect(refusal.message).toContain(
      'declared by ContractTasks.process in AModule and again by ContractTasks.process in BModule ' +
        '(it is the same class: provide it in one module, and export it from there).',
    );
  });
});
