import { Module } from '@nestjs/common';
import { TaskQueueHealthModule } from 'nestjs-task-queue/health';
import { HealthController } from './health.controller.js';

/** Tells a load balancer or an orchestrator whether this application can do its work. */
@Module({ imports: [TaskQueueHealthModule], controllers: [HealthController] })
export class HealthModule {}
