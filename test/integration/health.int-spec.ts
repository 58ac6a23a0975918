import { Controller, Get, Injectable, type INestApplication, Module } from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { Redis } from 'ioredis';
import request from 'supertest';
import type { App } from 'supertest/types.js';
import { Task, TaskQueueModule } from 'nestjs-task-queue';
import { TaskQueueHealthIndicator, TaskQueueHealthModule } from 'nestjs-task-queue/health';

const REDIS_URL = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL ?? '';
const CLOSED_PORT = 'redis://127.0.0.1:1';

@Injectable()
class SomeTasks {
  @Task()
  nothing(): void {
    return undefined;
  }
}

@Controller()
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly taskQueue: TaskQueueHealthIndicator,
  ) {}

  @Get('health')
  @HealthCheck()
  check() {
    return this.health.check([() => this.taskQueue.broker('task-queue', { timeout: '300ms' })]);
  }
}

async function start(url: string): Promise<INestApplication<App>> {
  @Module({
    imports: [
      TaskQueueModule.forRoot({ connection: { url }, prefix: `health-${Date.now()}` }),
      TaskQueueHealthModule,
    ],
    providers: [SomeTasks],
    controllers: [HealthController],
  })
  class HealthAppModule {}
  const ref = await Test.createTestingModule({ imports: [HealthAppModule] }).compile();
  return ref.createNestApplication<INestApplication<App>>({ logger: false }).init();
}

describe('health of the broker', () => {
  let app: INestApplication<App>;
  afterEach(() => app.close());

  it('is up while Redis answers, and opens no connection for a probe', async () => {
    app = await start(REDIS_URL);
    await request(app.getHttpServer()).get('/health').expect(200);
    const admin = new Redis(REDIS_URL);
    const clients = async () => String(await admin.call('CLIENT', 'LIST')).split('\n').length;
    const before = await clients();
    const answer = await request(app.getHttpServer()).get('/health').expect(200);
    expect(await clients()).toBe(before);
    admin.disconnect();
    expect(answer.body).toMatchObject({
      status: 'ok',
      details: { 'task-queue': { status: 'up', serving: true } },
    });
  });

  it('is down within its bound while Redis is frozen, and up again by itself', async () => {
    app = await start(REDIS_URL);
    await request(app.getHttpServer()).get('/health').expect(200);
    const admin = new Redis(REDIS_URL);
    await admin.call('CLIENT', 'PAUSE', '1500', 'ALL');
    const started = Date.now();
    const frozen = await request(app.getHttpServer()).get('/health').expect(503);
    expect(Date.now() - started).toBeLessThan(1_400);
    expect(frozen.body).toMatchObject({
      error: { 'task-queue': { status: 'down', reason: expect.stringContaining('300 ms') as string } },
    });
    await admin.ping(); // answered when the pause is over
    admin.disconnect();
    await request(app.getHttpServer()).get('/health').expect(200);
  });

  it('is down within its bound when there is no Redis', async () => {
    app = await start(CLOSED_PORT);
    const answer = await request(app.getHttpServer()).get('/health').expect(503);
    expect(answer.body).toMatchObject({ error: { 'task-queue': { status: 'down' } } });
  });
});
