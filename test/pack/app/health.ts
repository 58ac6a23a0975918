/** Health as plain verdicts: the entry point does without @nestjs/terminus, which is not installed yet. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TaskQueueModule } from 'nestjs-task-queue';
import { TaskQueueHealth, TaskQueueHealthModule, type Verdict } from 'nestjs-task-queue/health';

@Module({
  imports: [
    TaskQueueModule.forRoot({ connection: { url: process.env['REDIS_URL'] }, role: 'producer' }),
    TaskQueueHealthModule.forRoot({ broker: { persistence: 'any' } }),
  ],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
try {
  const verdict: Verdict = await app.get(TaskQueueHealth).readiness();
  if (verdict.status !== 'up') throw new Error(`expected to be ready, got ${JSON.stringify(verdict)}`);
} finally {
  await app.close();
}
