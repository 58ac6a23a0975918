import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { TaskQueueHealthIndicator } from './task-queue.health.js';

/** Provides `TaskQueueHealthIndicator`; for modules with a health controller, beside `TaskQueueModule.forRoot`. */
@Module({
  imports: [TerminusModule],
  providers: [TaskQueueHealthIndicator],
  exports: [TaskQueueHealthIndicator, TerminusModule],
})
export class TaskQueueHealthModule {}
