import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { TaskQueueHealthModule } from 'nestjs-task-queue/health';
import { HealthController } from './health.controller.js';

/** Tells a load balancer or an orchestrator whether this application can do its work. */
@Module({
  // An audit that is lost with its Redis is asked for again, so a Redis that keeps nothing will do.
  imports: [TerminusModule, TaskQueueHealthModule.forRoot({ broker: { persistence: 'any' } })],
  controllers: [HealthController],
})
export class HealthModule {}
