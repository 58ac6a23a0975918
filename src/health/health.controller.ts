import { Controller, Get } from '@nestjs/common';
import { HealthCheck, type HealthCheckResult, HealthCheckService } from '@nestjs/terminus';
import { TaskQueueHealthIndicator } from 'nestjs-task-queue/health';

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly taskQueue: TaskQueueHealthIndicator,
  ) {}

  /** 200 while Redis answers, 503 while it does not. */
  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.taskQueue.broker('task-queue')]);
  }

  /** 503 when a restart would help; a Redis that is away is no such case. */
  @Get('live')
  @HealthCheck()
  live(): Promise<HealthCheckResult> {
    return this.health.check([() => this.taskQueue.liveness('task-queue')]);
  }

  /** 503 while no work can be taken or published, and from the beginning of the shutdown on. */
  @Get('ready')
  @HealthCheck()
  ready(): Promise<HealthCheckResult> {
    return this.health.check([() => this.taskQueue.readiness('task-queue')]);
  }
}
