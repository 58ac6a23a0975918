import { Inject, Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { TaskQueueEngine } from '../engine/task-queue-engine.js';
import { type Duration, toMilliseconds } from '../primitives/duration.js';
import { probeBroker } from './broker.probe.js';

/** How a check is made. */
export interface HealthCheckOptions {
  /** How long Redis may take to answer. @defaultValue '1s' */
  readonly timeout?: Duration;
}

/**
 * Health indicators for @nestjs/terminus.
 *
 * ```ts
 * @Get('health') @HealthCheck()
 * check() {
 *   return this.health.check([() => this.taskQueue.broker('task-queue')]);
 * }
 * ```
 */
@Injectable()
export class TaskQueueHealthIndicator {
  constructor(
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(TaskQueueEngine) private readonly engine: TaskQueueEngine,
  ) {}

  /** Up when Redis answers in time; answers within its bound also when Redis is frozen or gone. */
  async broker(key: string, options: HealthCheckOptions = {}): Promise<HealthIndicatorResult> {
    const verdict = await probeBroker(this.engine, toMilliseconds(options.timeout ?? '1s'));
    const check = this.indicators.check(key);
    return verdict.status === 'up' ? check.up(verdict.details) : check.down({ reason: verdict.reason });
  }
}
