import { Module } from '@nestjs/common';
import { LicencesModule } from '../licences/licences.module.js';
import { AuditsController } from './audits.controller.js';
import { AuditsService } from './audits.service.js';
import { LicenceAuditTasks } from './licence-audit.tasks.js';
import { ReportStore } from './report-store.js';

/** Starts audits, runs their tasks and shows what became of them. */
@Module({
  imports: [LicencesModule],
  controllers: [AuditsController],
  providers: [AuditsService, LicenceAuditTasks, ReportStore],
})
export class AuditsModule {}
