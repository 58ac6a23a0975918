import { BadRequestException, ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { CallbackWithOutcomes, isTerminal, type TaskDescription, WorkflowService } from 'nestjs-task-queue';
import { AppConfig } from '../config.js';
import { type InstalledPackage, PackageInventory } from '../licences/package-inventory.js';
import {
  type AuditMoment,
  type AuditView,
  linksOf,
  momentOf,
  type StartedAudit,
  viewOf,
} from './audit-view.js';
import { LicenceAuditTasks } from './licence-audit.tasks.js';
import { ReportStore } from './report-store.js';
import type { StartAuditDto } from './start-audit.dto.js';

const DEFAULT_TITLE = 'Licence audit';

/** Starts audits, and tells what became of them. */
@Injectable()
export class AuditsService {
  constructor(
    private readonly workflows: WorkflowService,
    private readonly inventory: PackageInventory,
    private readonly reports: ReportStore,
    private readonly config: AppConfig,
  ) {}

  /**
   * Publishes an audit: a chord of one member for each package, whose callback writes the report. It runs
   * however many members fail, and gets what each of them came to.
   */
  async start({ title, only, limit }: StartAuditDto): Promise<StartedAudit> {
    const packages = (await this.#packages(only)).slice(0, limit ?? undefined);
    const tasks = this.workflows.tasks(LicenceAuditTasks);
    const audit = this.workflows.chord(
      packages.map((pkg) => tasks.auditLicence.s(pkg)),
      tasks.buildComplianceReport.s({
        title: title ?? DEFAULT_TITLE,
        startedAt: new Date().toISOString(),
        packages: packages.map(({ name, version }) => ({ name, version })),
      }),
      { recovery: CallbackWithOutcomes },
    );
    const { id } = await audit.applyAsync([], { taskId: randomUUID() });
    return { id, members: packages.length, links: linksOf(id) };
  }

  /** @throws NotFoundException when no audit has this id, or it was so long ago that it is forgotten */
  async show(id: string): Promise<AuditView> {
    return viewOf(await this.#describe(id));
  }

  /** How the audit goes on, until its end or until the signal aborts. @throws NotFoundException */
  async watch(id: string, signal: AbortSignal): Promise<AsyncIterable<AuditMoment>> {
    await this.#describe(id);
    return this.#moments(id, signal);
  }

  /** The document. @throws ConflictException while it is not written, NotFoundException when it never will be */
  async report(id: string): Promise<FileHandle> {
    const { state } = await this.#describe(id);
    if (!isTerminal(state)) throw new ConflictException('The audit is still running.');
    const document = state === 'SUCCESS' ? await this.reports.open(id) : undefined;
    if (document === undefined) throw new NotFoundException('This audit has no report.');
    return document;
  }

  async *#moments(id: string, signal: AbortSignal): AsyncGenerator<AuditMoment> {
    for await (const moment of this.workflows.result(id).watch({ signal })) yield momentOf(moment);
  }

  async #describe(id: string): Promise<TaskDescription> {
    const description = await this.workflows.result(id).describe();
    if (description.state === 'UNKNOWN') throw new NotFoundException('No audit has this id.');
    return description;
  }

  async #packages(only: readonly string[] | undefined): Promise<InstalledPackage[]> {
    const { packages, broken } = await this.inventory.list(this.config.auditRoot);
    // A package that cannot be read is audited all the same: its failure belongs into the report.
    const all = [...packages, ...broken].map(({ name, version, path }) => ({ name, version, path }));
    if (!only) return all;
    const unknown = only.filter((name) => !all.some((pkg) => pkg.name === name));
    if (unknown.length > 0) throw new BadRequestException(`Not installed: ${unknown.join(', ')}`);
    return all.filter((pkg) => only.includes(pkg.name));
  }
}
