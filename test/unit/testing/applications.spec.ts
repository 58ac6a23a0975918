/** Applications as they are in production, started without Redis. */
import { Controller, Get, Injectable, Module, Post, UseGuards, type CanActivate } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { firstValueFrom } from 'rxjs';
import { InjectWorkflows, Task, TaskQueueModule, WorkflowService } from 'nestjs-task-queue';
import { TaskQueueHealth, TaskQueueHealthModule } from 'nestjs-task-queue/health';
import {
  type TaskQueueClient,
  TaskQueueMicroserviceModule,
  TaskQueueServer,
} from 'nestjs-task-queue/microservice';
import { TestTaskQueue, useTestTaskQueue } from 'nestjs-task-queue/testing';

@Injectable()
class ReportTasks {
  @Task()
  build(title: string): string {
    return `report on ${title}`;
  }
}

@Injectable()
class BillingTasks {
  @Task({ connection: 'billing' })
  charge(amount: number): number {
    return amount * 100;
  }
}

let urls: Record<string, string | undefined>;
beforeEach(() => {
  urls = { REDIS_URL: process.env.REDIS_URL, TEST_REDIS_URL: process.env.TEST_REDIS_URL };
  for (const name of Object.keys(urls)) delete process.env[name];
});
afterEach(() => {
  for (const [name, url] of Object.entries(urls)) if (url !== undefined) process.env[name] = url;
});

function forRootModule() {
  @Module({
    imports: [TaskQueueModule.forRoot({ connection: { url: process.env.REDIS_URL } })],
    providers: [ReportTasks],
  })
  class AppModule {}
  return AppModule;
}

it('forRoot without a connection', async () => {
  const builder = Test.createTestingModule({ imports: [forRootModule()] });
  const queue = useTestTaskQueue(builder);
  const app = await (await builder.compile()).init();
  const { build } = app.get(WorkflowService).tasks(ReportTasks);
  expect(await (await build.delay('cats')).get()).toBe('report on cats');
  expect(queue.published(build)).toHaveLength(1);
  await app.close();
});

it('the same is refused where Redis is needed, when the application starts', async () => {
  const starts = Test.createTestingModule({ imports: [forRootModule()] }).compile();
  await expect(starts).rejects.toThrow(
    'Option connection.url: expected a URL such as redis://localhost:6379 or rediss://user:password@host:6380/0, got undefined.',
  );
});

it('other options that cannot be read are refused by forRoot, in a test as well', () => {
  expect(() => TaskQueueModule.forRoot({ shards: 0 })).toThrow(/Option shards/);
});

it('registrations under names, by forRoot and forRootAsync, and an HTTP application around them', async () => {
  class Refuse implements CanActivate {
    canActivate = (): boolean => true;
  }
  @Controller()
  @UseGuards(Refuse)
  class BillingController {
    constructor(@InjectWorkflows('billing') private readonly billing: WorkflowService) {}
    @Post()
    async charge(): Promise<unknown> {
      return (await this.billing.tasks(BillingTasks).charge.delay(3)).get();
    }
    @Get()
    none(): void {}
  }
  @Module({
    imports: [
      TaskQueueModule.forRoot(),
      TaskQueueModule.forRootAsync({ name: 'billing', useFactory: () => ({ prefix: 'money' }) }),
    ],
    providers: [ReportTasks, BillingTasks],
    controllers: [BillingController],
  })
  class AppModule {}
  const builder = Test.createTestingModule({ imports: [AppModule] });
  const queue = useTestTaskQueue(builder);
  const app = (await builder.compile()).createNestApplication();
  app.useLogger(false);
  await app.listen(0, '127.0.0.1');
  try {
    const answer = await fetch(await app.getUrl(), { method: 'POST' });
    expect(await answer.text()).toBe('300');
    expect(queue.published('BillingTasks.charge')).toMatchObject([{ args: [3] }]);
    await app.get(WorkflowService).tasks(ReportTasks).build.delay('x');
    expect(queue.published().map(({ task }) => task)).toEqual(['BillingTasks.charge', 'ReportTasks.build']);
  } finally {
    await app.close();
  }
});

it('its health is asked as in production', async () => {
  const builder = Test.createTestingModule({ imports: [forRootModule(), TaskQueueHealthModule] });
  const queue = useTestTaskQueue(builder, { mode: 'stepwise' });
  const app = await (await builder.compile()).init();
  await app.get(WorkflowService).tasks(ReportTasks).build.delay('owls');
  const health = app.get(TaskQueueHealth);
  expect(await health.broker()).toMatchObject({ status: 'up' });
  expect(await health.workers()).toMatchObject({ status: 'up' });
  expect(await health.queues()).toMatchObject({ status: 'up' });
  await queue.drain();
  expect(await health.canvases()).toMatchObject({ status: 'up' });
  await app.close();
});

it('handlers of patterns and a client of them', async () => {
  @Controller()
  class SumController {
    @MessagePattern({ cmd: 'sum' })
    sum(@Payload() values: number[]): number {
      return values.reduce((sum, value) => sum + value, 0);
    }
  }
  @Module({
    imports: [
      TaskQueueModule.forRoot(),
      TaskQueueMicroserviceModule,
      TaskQueueMicroserviceModule.registerClient({ name: 'SUMS' }),
    ],
    controllers: [SumController],
  })
  class AppModule {}
  const builder = Test.createTestingModule({ imports: [AppModule] });
  useTestTaskQueue(builder);
  const app = (await builder.compile()).createNestApplication();
  app.useLogger(false);
  app.connectMicroservice({ strategy: app.get(TaskQueueServer) });
  await app.startAllMicroservices();
  await app.init();
  const client = app.get<TaskQueueClient>('SUMS');
  expect(await firstValueFrom(client.send({ cmd: 'sum' }, [1, 2, 3]))).toBe(6);
  await app.close();
});

it('a producer and a worker that share one test queue', async () => {
  const queue = new TestTaskQueue({ mode: 'stepwise' });
  const boot = async (role: 'producer' | 'worker') => {
    const builder = Test.createTestingModule({
      imports: [TaskQueueModule.forRoot({ role })],
      providers: role === 'worker' ? [ReportTasks] : [],
    });
    queue.serveIn(builder);
    const app = await builder.compile();
    app.useLogger(false);
    return app.init();
  };
  const producer = await boot('producer');
  const handle = await producer.get(WorkflowService).tasks(ReportTasks).build.delay('dogs');
  expect(await queue.drain()).toBe(0);
  expect(queue.waiting()).toHaveLength(1);
  const worker = await boot('worker');
  expect(await queue.drain()).toBe(1);
  expect(await handle.get()).toBe('report on dogs');
  await Promise.all([producer.close(), worker.close()]);
});
