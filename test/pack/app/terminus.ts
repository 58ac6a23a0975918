/** Health for @nestjs/terminus, which takes what the indicators give. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { TaskQueueModule } from 'nestjs-task-queue';
import { TaskQueueHealthIndicator, TaskQueueHealthModule } from 'nestjs-task-queue/health';

@Module({
  imports: [
    TerminusModule,
    TaskQueueModule.forRoot({ connection: { url: process.env['REDIS_URL'] }, role: 'producer' }),
    TaskQueueHealthModule.forRoot({ broker: { persistence: 'any' } }),
  ],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
try {
  const taskQueue = app.get(TaskQueueHealthIndicator);
  const { status, details } = await app.get(HealthCheckService).check([() => taskQueue.broker('redis')]);
  if (status !== 'ok' || details.redis.status !== 'up') {
    throw new Error(`expected Redis to be up, got ${JSON.stringify(details)}`);
  }
} finally {
  await app.close();
}
