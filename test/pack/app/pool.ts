/** A process pool of the packed library: its children find what they run, and the application. */
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Task, TaskQueueModule, WorkflowService } from 'nestjs-task-queue';

@Injectable()
class Processes {
  @Task()
  pid(): number {
    return process.pid;
  }
}

@Module({
  imports: [
    TaskQueueModule.forRoot({
      connection: { url: process.env['REDIS_URL'] },
      prefix: 'pack-check-pool',
      queues: {
        default: { pool: { type: 'process', size: 1, module: new URL('./pool.js', import.meta.url) } },
      },
    }),
  ],
  providers: [Processes],
})
export default class AppModule {}

// A child imports this file as well, for its module.
if (process.send === undefined) {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  try {
    const { pid } = app.get(WorkflowService).tasks(Processes);
    const other = await (await pid.delay()).get({ timeout: '60s' });
    if (other === process.pid) throw new Error('the task did not run in a process of its own');
  } finally {
    await app.close();
  }
}
