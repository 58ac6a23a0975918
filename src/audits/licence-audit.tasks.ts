import { Injectable, Logger } from '@nestjs/common';
import { OnFailure, type Outcome, Retry, Task, TaskContext, type TaskFailure } from 'nestjs-task-queue';
import { AppConfig } from '../config.js';
import { LicenceAuditor } from '../licences/licence-auditor.js';
import type { LicenceFinding } from '../licences/licence-finding.js';
import { LicenceAuditError } from '../licences/licence.errors.js';
import type { InstalledPackage } from '../licences/package-inventory.js';
import { type AuditResult, type AuditSubject, reportOf, resultOf } from './audit-report.js';
import { FileSystemBusyError } from './file-system-busy.error.js';
import { ReportStore } from './report-store.js';

/** The tasks of a licence audit: one for every package, and one that reports on all of them. */
@Injectable()
export class LicenceAuditTasks {
  readonly #logger = new Logger(LicenceAuditTasks.name);

  constructor(
    private readonly config: AppConfig,
    private readonly auditor: LicenceAuditor,
    private readonly reports: ReportStore,
  ) {}

  /**
   * Audits one package. A busy file system is waited for; what the audit itself says about a package is final;
   * anything else is unknown, and gets one more try.
   */
  @Task({ softTimeLimit: '30s', timeLimit: '45s' })
  @Retry({
    for: [FileSystemBusyError],
    maxRetries: 5,
    backoff: { type: 'exponential', delay: '200ms', max: '10s' },
  })
  @Retry({ never: [LicenceAuditError], maxRetries: 1, backoff: { type: 'fixed', delay: '1s' } })
  async auditLicence(pkg: InstalledPackage, task: TaskContext): Promise<LicenceFinding> {
    try {
      return await this.auditor.audit(pkg, { root: this.config.auditRoot, signal: task.signal });
    } catch (error) {
      throw FileSystemBusyError.orOriginal(error);
    }
  }

  /**
   * Writes the report, once every package has come to an end, in whatever way.
   *
   * A task may run twice, when its worker dies at the wrong moment. This one can: it writes the same files again.
   */
  @Task({ queue: 'reports', softTimeLimit: '1m', timeLimit: '90s' })
  @Retry()
  async buildComplianceReport(
    outcomes: readonly Outcome<LicenceFinding>[],
    subject: AuditSubject,
    task: TaskContext,
  ): Promise<AuditResult> {
    const report = reportOf(outcomes, subject, new Date());
    const path = await this.reports.save(task.workflow.id, report, task.signal);
    return resultOf(report.json, path);
  }

  /** Called after the final failure of either task. */
  @OnFailure()
  logFailure({ request, reason, error }: TaskFailure): void {
    const attempts = request.attempt === 1 ? '1 attempt' : `${request.attempt} attempts`;
    this.#logger.warn(`${request.name} ${request.id}: ${reason} after ${attempts}: ${error.message}`);
  }
}
