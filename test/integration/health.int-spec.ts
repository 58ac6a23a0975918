/** Health for terminus, over HTTP: what is up, degraded and down, with liveness and readiness apart. */
import { Controller, Get, Injectable, type INestApplication, Module } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { Redis } from 'ioredis';
import request from 'supertest';
import type { App } from 'supertest/types.js';
import { InvalidOptionsError, Task, TaskQueueModule } from 'nestjs-task-queue';
import {
  type HealthOptions,
  TaskQueueHealth,
  TaskQueueHealthIndicator,
  TaskQueueHealthModule,
} from 'nestjs-task-queue/health';
import { redisUrl, uniquePrefix, useApps } from '../support/app-fixture.js';

const CLOSED_PORT = 'redis://127.0.0.1:1';
/** The Redis of the run keeps nothing, which is right for it. */
const OPTIONS: HealthOptions = { timeout: '300ms', broker: { persistence: 'any' } };

@Injectable()
class SomeTasks {
  @Task()
  nothing(): void {
    return undefined;
  }
}

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly taskQueue: TaskQueueHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.taskQueue.broker('redis'), () => this.taskQueue.workers('workers')]);
  }

  @Get('all')
  @HealthCheck()
  all() {
    return this.health.check([() => this.taskQueue.check('tasks')]);
  }

  @Get('live')
  @HealthCheck()
  live() {
    return this.health.check([() => this.taskQueue.liveness('tasks')]);
  }

  @Get('ready')
  @HealthCheck()
  ready() {
    return this.health.check([() => this.taskQueue.readiness('tasks')]);
  }

  @Get('strict')
  @HealthCheck()
  strict() {
    const strictly = { persistence: 'required' } as const;
    return this.health.check([
      () => this.taskQueue.broker('native', strictly),
      () => this.taskQueue.broker('lenient', { ...strictly, degradedAs: 'up' }),
      () => this.taskQueue.broker('strict', { ...strictly, degradedAs: 'down' }),
    ]);
  }
}

let app: INestApplication<App> | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function start(url: string, options: HealthOptions = OPTIONS): Promise<App> {
  @Module({
    imports: [
      TerminusModule.forRoot({ logger: false }),
      TaskQueueModule.forRoot({ connection: { url }, prefix: uniquePrefix('health') }),
      TaskQueueHealthModule.forRoot(options),
    ],
    providers: [SomeTasks],
    controllers: [HealthController],
  })
  class HealthAppModule {}
  const ref = await Test.createTestingModule({ imports: [HealthAppModule] }).compile();
  app = await ref.createNestApplication<INestApplication<App>>({ logger: false }).init();
  return app.getHttpServer();
}

describe('health over HTTP', () => {
  it('is up while Redis answers, with details', async () => {
    const server = await start(redisUrl());
    const { body } = await request(server).get('/health').expect(200);
    expect(body).toMatchObject({
      status: 'ok',
      details: {
        redis: { status: 'up', latencyMs: expect.any(Number) as number, servers: [{ role: 'master' }] },
        workers: {
          status: 'up',
          state: 'serving',
          tasks: ['SomeTasks.nothing'],
          queues: { default: { state: 'moving', running: 0, concurrency: 10 }, _canvas: { state: 'moving' } },
        },
      },
    });
    const all = await request(server).get('/health/all').expect(200);
    expect(all.body).toMatchObject({
      status: 'ok',
      details: { tasks: { status: 'up', queues: { status: 'up' }, failures: { status: 'up' } } },
    });
    await request(server).get('/health/live').expect(200);
    await request(server).get('/health/ready').expect(200);
  });

  it('is not ready but alive while Redis is frozen, and well again by itself', async () => {
    const server = await start(redisUrl());
    await request(server).get('/health').expect(200);
    const admin = new Redis(redisUrl());
    await admin.call('CLIENT', 'PAUSE', '2500', 'ALL');
    const [health, live, ready] = await Promise.all([
      request(server).get('/health').expect(503),
      request(server).get('/health/live').expect(200),
      request(server).get('/health/ready').expect(503),
    ]);
    expect(health.body).toMatchObject({
      error: { redis: { status: 'down', reason: 'Redis did not answer within 300 ms' } },
      info: { workers: { status: 'degraded' } },
    });
    expect(live.body).toMatchObject({ status: 'ok' });
    expect(ready.body).toMatchObject({ error: { tasks: { status: 'down' } } });
    await admin.ping(); // answered when the pause is over
    admin.disconnect();
    await request(server).get('/health/ready').expect(200);
    const { body } = await request(server).get('/health').expect(200);
    expect(body).toMatchObject({ status: 'ok' });
  });

  it('is down within its bound, and alive, when there is no Redis', async () => {
    const server = await start(CLOSED_PORT);
    const { body } = await request(server).get('/health').expect(503);
    expect(body).toMatchObject({
      error: { redis: { status: 'down', reason: expect.stringContaining('ECONNREFUSED') as string } },
    });
    await request(server).get('/health/ready').expect(503);
    await request(server).get('/health/live').expect(200);
  });

  it('tells terminus of what is degraded as it is told to', async () => {
    const admin = new Redis(redisUrl());
    const [, save] = (await admin.config('GET', 'save')) as string[];
    const aof = /aof_enabled:1/.test(await admin.info('persistence'));
    admin.disconnect();
    expect([save, aof]).toEqual(['', false]); // the Redis of the run keeps nothing
    const server = await start(redisUrl());
    const { body } = await request(server).get('/health/strict').expect(503);
    const reason = expect.stringMatching(/^persistence is off/) as string;
    expect(body).toMatchObject({
      info: {
        native: { status: 'degraded', reason },
        lenient: { status: 'up', degraded: true, reason },
      },
      error: { strict: { status: 'down', degraded: true, reason } },
    });
  });

  it('answers 200 to what is degraded, unless told otherwise', async () => {
    const server = await start(redisUrl(), { timeout: '300ms' });
    const { body } = await request(server).get('/health').expect(200);
    expect(body).toMatchObject({ status: 'degraded', details: { redis: { status: 'degraded' } } });
  });
});

describe('the health module', () => {
  const fixture = useApps();

  it('refuses options that cannot be read, at once', () => {
    const typo = { borker: {} } as HealthOptions;
    expect(() => TaskQueueHealthModule.forRoot(typo)).toThrow(InvalidOptionsError);
    expect(() => TaskQueueHealthModule.forRoot(typo)).toThrow(/broker/);
  });

  it('takes options from other providers, and as it stands goes by the defaults', async () => {
    const booted = await fixture.boot({
      imports: [
        TaskQueueHealthModule.forRootAsync({
          inject: [],
          useFactory: () => Promise.resolve(OPTIONS),
        }),
      ],
    });
    expect((await booted.get(TaskQueueHealth).broker()).status).toBe('up');
    const plain = await fixture.boot({ imports: [TaskQueueHealthModule] });
    expect((await plain.get(TaskQueueHealth).broker()).status).toBe('degraded');
    await expect(
      fixture.boot({
        imports: [TaskQueueHealthModule.forRootAsync({ useFactory: () => ({ timeout: 'soon' }) as never })],
      }),
    ).rejects.toThrow(InvalidOptionsError);
  });

  it('looks at the registration that it is told to', async () => {
    const booted = await fixture.boot({
      imports: [
        TaskQueueModule.forRoot({ name: 'billing', connection: { url: CLOSED_PORT }, role: 'producer' }),
        TaskQueueHealthModule.forRoot(OPTIONS),
      ],
    });
    const health = booted.get(TaskQueueHealth);
    expect((await health.broker()).status).toBe('up');
    expect((await health.broker({ connection: 'billing' })).status).toBe('down');
    expect((await health.readiness()).status).toBe('up');
    expect((await health.readiness({ connection: 'billing' })).status).toBe('down');
    await expect(health.broker({ connection: 'biling' })).rejects.toThrow(/did you mean "billing"/i);
  });

  it('does not start for a registration that there is not', async () => {
    await expect(
      fixture.boot({ imports: [TaskQueueHealthModule.forRoot({ connection: 'billing' })] }),
    ).rejects.toThrow(InvalidOptionsError);
  });
});
