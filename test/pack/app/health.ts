/** The optional entry point: it needs @nestjs/terminus, which the main entry point does not. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TaskQueueModule } from 'nestjs-task-queue';
import { TaskQueueHealthIndicator, TaskQueueHealthModule } from 'nestjs-task-queue/health';

@Module({
  imports: [
    TaskQueueModule.forRoot({ connection: { url: process.env['REDIS_URL'] }, role: 'producer' }),
    TaskQueueHealthModule,
  ],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
try {
  const { redis } = await app.get(TaskQueueHealthIndicator).broker('redis');
  if (redis?.status !== 'up') throw new Error(`expected Redis to be up, got ${JSON.stringify(redis)}`);
} finally {
  await app.close();
}
