import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { currentTask, OnRetry, TASK_CONTEXT_TYPE, type TaskRetry } from 'nestjs-task-queue';
import type { Observable } from 'rxjs';
import { RunCounter } from './run-counter.js';

/** Counts every start of a task, before its handler runs: a worker that is killed has counted already. */
@Injectable()
export class CountRunsInterceptor implements NestInterceptor {
  constructor(private readonly runs: RunCounter) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    if (context.getType<string>() === TASK_CONTEXT_TYPE) {
      const { id, position } = currentTask().workflow;
      await this.runs.countRun(id, position);
    }
    return next.handle();
  }
}

/** Counts retries. */
@Injectable()
export class RetryHook {
  constructor(private readonly runs: RunCounter) {}

  @OnRetry('LicenceAuditTasks.auditLicence', 'LicenceAuditTasks.buildComplianceReport')
  async countRetry({ failure }: TaskRetry): Promise<void> {
    await this.runs.countRetry(failure.request.workflowId);
  }
}
