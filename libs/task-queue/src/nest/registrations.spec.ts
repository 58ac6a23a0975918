import { type DynamicModule, Injectable, type Provider } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { DuplicateTaskError, InvalidOptionsError, InvalidTaskError } from '../errors/configuration.errors.js';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { TaskQueueModuleOptions } from '../options/task-queue-options.js';
import { OnFailure } from './decorators/hook.decorators.js';
import { Task, Tasks } from './decorators/task.decorator.js';
import { rejectionOf } from './discovery/app.fixture.js';
import { getTaskQueueEngineToken, getWorkflowServiceToken, InjectWorkflows } from './injection.js';
import { TaskQueueModule } from './task-queue.module.js';
import { WorkflowService } from './workflow.service.js';

// Nobody publishes and nobody serves here, so nothing is ever connected.
const options: TaskQueueModuleOptions = { connection: { host: '127.0.0.1', port: 1 }, role: 'producer' };
const register = (name?: string): DynamicModule =>
  TaskQueueModule.forRoot({ ...options, prefix: `of-${name}`, ...(name === undefined ? {} : { name }) });

@Injectable()
class PlainTasks {
  @Task()
  run(): void {}
}

@Injectable()
@Tasks({ connection: 'billing', queue: 'invoices' })
class BillingTasks {
  @Task()
  charge(amount: number): number {
    return amount;
  }
  @Task({ connection: 'mail', queue: 'letters' })
  remind(): void {}
  @Task({ connection: 'default' })
  note(): void {}
}

let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

async function start(imports: DynamicModule[], providers: Provider[] = []) {
  const app = await Test.createTestingModule({ imports, providers }).compile();
  close = () => app.close();
  await app.init();
  return {
    app,
    workflows: (name?: string) => app.get(getWorkflowServiceToken(name)),
    /** Names of the tasks that a registration serves. */
    served: (name?: string) =>
      app
        .get(getTaskQueueEngineToken(name))
        .registry.all()
        .map((task) => `${task.name} in ${task.queue}`),
  };
}

const refusalOf = async (imports: DynamicModule[], providers: Provider[] = []): Promise<Error> =>
  (await rejectionOf(start(imports, providers))) as Error;

describe('what is injected', () => {
  @Injectable()
  class Services {
    @InjectWorkflows('mail') readonly mail!: WorkflowService;
    constructor(
      readonly byClass: WorkflowService,
      @InjectWorkflows() readonly unnamed: WorkflowService,
      @InjectWorkflows('default') readonly byDefault: WorkflowService,
      @InjectWorkflows('billing') readonly billing: WorkflowService,
    ) {}
  }

  it('is the service of the registration that is named, and by its class that of the one without a name', async () => {
    const { app, workflows } = await start([register('billing'), register(), register('mail')], [Services]);
    const { byClass, unnamed, byDefault, billing, mail } = app.get(Services);

    expect(unnamed).toBe(byClass);
    expect(byDefault).toBe(byClass);
    expect(app.get(WorkflowService)).toBe(byClass);
    expect(billing).toBe(workflows('billing'));
    expect(mail).toBe(workflows('mail'));
    expect(new Set([byClass, billing, mail]).size).toBe(3);
    expect([byClass, billing, mail].every((service) => service instanceof WorkflowService)).toBe(true);
  });

  it('cannot be what no registration has: Nest names it', async () => {
    const refusal = await refusalOf([register(), register('mail')], [Services]);
    expect(refusal.message).toContain('WorkflowService of connection "billing"');
  });

  it('is not the service of a registration with a name, where a class is asked for', async () => {
    const { app } = await start([register('billing')]);
    expect(() => app.get(WorkflowService)).toThrow('WorkflowService');
  });

  it('has a name that can be one', () => {
    expect(() => InjectWorkflows('')).toThrow(InvalidOptionsError);
    expect(() => register('a b')).toThrow('Option name: expected a name of 1 to 64 letters');
    expect(() => TaskQueueModule.forRootAsync({ name: '', useFactory: () => options })).toThrow(
      'Option name',
    );
  });
});

describe('registrations', () => {
  it.each([
    [undefined, 'two without a name'],
    ['billing', 'two of the name \\"billing\\"'],
  ])('two of the name %s are refused', async (name, found) => {
    const refusal = await refusalOf([register(name), register('other'), register(name)]);
    expect(refusal).toBeInstanceOf(InvalidOptionsError);
    expect(refusal.message).toBe(
      'Option name: expected a name of its own for every TaskQueueModule.forRoot of an application, of which one ' +
        `may go without, got "${found}".`,
    );
  });

  it('one that two modules import is one', async () => {
    const billing = register('billing');
    class FeatureModule {}
    await expect(start([billing, { module: FeatureModule, imports: [billing] }])).resolves.toBeDefined();
  });

  it('made by a factory have the name that stands beside it', async () => {
    const made = (name?: string) =>
      TaskQueueModule.forRootAsync({
        name: 'billing',
        useFactory: () => ({ ...options, ...(name === undefined ? {} : { name }) }),
      });
    const { workflows } = await start([made(), register()]);
    expect(workflows('billing')).toBeInstanceOf(WorkflowService);
    await close?.();
    await expect(start([made('billing')])).resolves.toBeDefined();
    await close?.();
    const refusal = await refusalOf([made('default')]);
    expect(refusal.message).toBe('Option name: expected "billing", as forRootAsync says, got "default".');
  });
});

describe('tasks', () => {
  const three = () => [register(), register('billing'), register('mail')];

  it('are served by the registration that they name, or their class; a method wins', async () => {
    const { served } = await start(three(), [PlainTasks, BillingTasks]);
    expect(served()).toEqual(['PlainTasks.run in default', 'BillingTasks.note in invoices']);
    expect(served('billing')).toEqual(['BillingTasks.charge in invoices']);
    expect(served('mail')).toEqual(['BillingTasks.remind in letters']);
  });

  it('get from a subclass what it says, and the rest from its base', async () => {
    @Injectable()
    @Tasks({ connection: 'mail' })
    class MailTasks extends PlainTasks {}
    @Injectable()
    @Tasks({ queue: 'slow' })
    class SlowMailTasks extends MailTasks {}
    const { served } = await start(three(), [PlainTasks, SlowMailTasks, MailTasks]);
    expect(served()).toEqual(['PlainTasks.run in default']);
    expect(served('mail')).toEqual(['SlowMailTasks.run in slow', 'MailTasks.run in default']);
  });

  it('that name none belong to the only registration, whatever its name is', async () => {
    const { served } = await start([register('billing')], [PlainTasks]);
    expect(served('billing')).toEqual(['PlainTasks.run in default']);
  });

  it('that name none are refused where several registrations have names, and none has none', async () => {
    const refusal = await refusalOf([register('billing'), register('mail')], [PlainTasks]);
    expect(refusal).toBeInstanceOf(InvalidTaskError);
    expect(refusal.message).toBe(
      'PlainTasks.run: it names no connection, and there are "billing", "mail". Say with ' +
        "@Task({ connection: '…' }), or for all tasks of its class with @Tasks({ connection: '…' }), to which " +
        'registration it belongs.',
    );
  });

  it('that name an unknown one are refused, with what may have been meant', async () => {
    const refusal = await refusalOf([register(), register('biling'), register('mail')], [BillingTasks]);
    expect(refusal).toBeInstanceOf(InvalidTaskError);
    expect(refusal.message).toContain(
      'BillingTasks.charge: there is no TaskQueueModule.forRoot of the name "billing" (did you mean "biling"?), ' +
        'only "default", "biling", "mail".',
    );
  });

  it('have names that are unique in the application, not in a registration', async () => {
    @Injectable()
    class OtherTasks {
      @Task({ name: 'BillingTasks.charge' })
      run(): void {}
    }
    const refusal = await refusalOf(three(), [BillingTasks, OtherTasks]);
    expect(refusal).toBeInstanceOf(DuplicateTaskError);
  });

  it('take their hooks with them', async () => {
    @Injectable()
    class Hooks {
      @OnFailure('PlainTasks.run', 'BillingTasks.charge')
      failed(): void {}
    }
    const { app } = await start(three(), [Hooks, PlainTasks, BillingTasks]);
    const hooksOf = (name: string | undefined, task: string) =>
      app.get(getTaskQueueEngineToken(name)).registry.hooksOf(task, 'failure').length;
    expect([hooksOf(undefined, 'PlainTasks.run'), hooksOf('billing', 'PlainTasks.run')]).toEqual([1, 0]);
    expect([hooksOf(undefined, 'BillingTasks.charge'), hooksOf('billing', 'BillingTasks.charge')]).toEqual([
      0, 1,
    ]);
  });

  it('have a connection that can be read', () => {
    expect(() => Tasks({ conection: 'billing' } as object)(PlainTasks)).toThrow(
      '@Tasks of PlainTasks: Option conection: expected one of the options queue, connection (did you mean ' +
        '"connection"?), got "conection".',
    );
    expect(() => Tasks({ connection: 'a b' })(PlainTasks)).toThrow(InvalidTaskError);
    expect(() => Tasks({ queue: '_canvas' })(PlainTasks)).toThrow('@Tasks of PlainTasks: Option queue');
  });
});

describe('a WorkflowService', () => {
  const three = () => [register(), register('billing'), register('mail')];

  it('refuses a class whose tasks all belong to another one, and says which', async () => {
    @Tasks({ connection: 'mail' })
    class MailTasks extends PlainTasks {}
    @Tasks({ connection: 'bill' })
    class UnknownTasks extends PlainTasks {}
    const { workflows } = await start(three(), [PlainTasks]);
    expect(() => workflows().tasks(MailTasks)).toThrow(
      'MailTasks.run belongs to the connection "mail", and this is the WorkflowService of "default". Ask the ' +
        "service of that one, which @InjectWorkflows('mail') injects.",
    );
    // It names none, but the registration without a name serves it here.
    expect(() => workflows('mail').tasks(PlainTasks)).toThrow('which @InjectWorkflows() injects');
    expect(() => workflows().tasks(UnknownTasks)).toThrow(
      'This application has no TaskQueueModule.forRoot of that name.',
    );
  });

  it('gives of a class with several homes its own tasks, and says where the others are', async () => {
    const { workflows } = await start(three());
    const tasks = workflows('billing').tasks(BillingTasks);
    expect(tasks.charge.s(1).toJSON()).toMatchObject({ task: 'BillingTasks.charge', taskQueue: 'invoices' });
    expect(() => tasks.remind).toThrow("@InjectWorkflows('mail')");
    expect(() => tasks.note).toThrow('@InjectWorkflows()');
  });

  it('calls a task that names no connection and is served elsewhere', async () => {
    const { workflows } = await start(three());
    expect(workflows().tasks(PlainTasks).run.taskName).toBe('PlainTasks.run');
    expect(workflows('mail').tasks(PlainTasks).run.taskName).toBe('PlainTasks.run');
  });

  it('refuses a canvas with a task that only another one knows, before anything is sent', async () => {
    const { workflows } = await start(three(), [PlainTasks]);
    const charge = workflows('billing').tasks(BillingTasks).charge.si(1);
    const run = workflows().tasks(PlainTasks).run.si();
    const error = await rejectionOf(
      workflows()
        .chain(run, workflows().group([run, charge]))
        .applyAsync(),
    );
    expect(error).toBeInstanceOf(InvalidCanvasError);
    expect((error as Error).message).toBe(
      'Canvas at steps[1].members[1]: task "BillingTasks.charge" belongs to the connection "billing", and the ' +
        'canvas is published through "default". A canvas stays in one Redis: let a task of one publish the other.',
    );
    const errback = workflows('mail').signature('anything', []).linkError(run);
    expect(await rejectionOf(errback.delay())).toBeInstanceOf(InvalidCanvasError);
  });
});

describe('makers of tasks that were asked for while the application is put together', () => {
  @Injectable()
  class Early {
    readonly run: () => Promise<unknown>;
    constructor(@InjectWorkflows('billing') billing: WorkflowService) {
      const tasks = billing.tasks(PlainTasks);
      this.run = () => tasks.run.delay();
    }
  }

  it('publish nothing that belongs to another registration, as turns out later', async () => {
    const { app } = await start([register(), register('billing')], [PlainTasks, Early]);
    expect(await rejectionOf(app.get(Early).run())).toMatchObject({
      code: 'INVALID_CANVAS',
      message: expect.stringContaining('task "PlainTasks.run" belongs to the connection "default"') as string,
    });
  });
});

describe('forFeature', () => {
  const queues = { reports: { concurrency: 2 } };
  const concurrency = (app: Awaited<ReturnType<typeof start>>, name?: string) =>
    app.app.get(getTaskQueueEngineToken(name)).options.queues.get('reports')?.concurrency;

  it('adds queues to the registration that it names', async () => {
    const app = await start([
      register(),
      register('billing'),
      TaskQueueModule.forFeature(queues, { connection: 'billing' }),
    ]);
    expect([concurrency(app), concurrency(app, 'billing')]).toEqual([undefined, 2]);
  });

  it('adds them without a name as a task finds its home', async () => {
    const unnamed = await start([register('billing'), register(), TaskQueueModule.forFeature(queues)]);
    expect([concurrency(unnamed), concurrency(unnamed, 'billing')]).toEqual([2, undefined]);
    await close?.();
    const only = await start([register('billing'), TaskQueueModule.forFeature(queues)]);
    expect(concurrency(only, 'billing')).toBe(2);
  });

  it.each([
    [
      'biling',
      '"default", "billing" (did you mean "billing"?), got "biling"',
      [register(), register('billing')],
    ],
    [undefined, '"billing", "mail", got undefined', [register('billing'), register('mail')]],
    ['billing', 'there is none, got "billing"', []],
  ])('is refused for %s where the registrations are %s', async (connection, found, imports) => {
    const feature = TaskQueueModule.forFeature(queues, connection === undefined ? {} : { connection });
    expect((await refusalOf([...imports, feature])).message).toBe(
      `Option connection: expected the name of a TaskQueueModule.forRoot of this application: ${found}.`,
    );
  });
});
