import { Injectable } from '@nestjs/common';
import { isUUID } from 'class-validator';
import { randomUUID } from 'node:crypto';
import { mkdir, open, type FileHandle, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppConfig } from '../config.js';
import type { ComplianceReport } from '../report/compliance-report.js';

const DOCUMENT = 'report.html';
const DATA = 'report.json';

/** Keeps reports on disk: `<REPORTS_DIR>/<audit id>/report.html` and `report.json`. */
@Injectable()
export class ReportStore {
  constructor(private readonly config: AppConfig) {}

  /**
   * Saves a report, in the place of one that is there already.
   *
   * @returns the path of the document, relative to the folder of all reports
   */
  async save(
    auditId: string,
    report: { html: string; json: ComplianceReport },
    signal?: AbortSignal,
  ): Promise<string> {
    const folder = this.#folderOf(auditId);
    await mkdir(folder, { recursive: true });
    await replaceFile(join(folder, DATA), `${JSON.stringify(report.json, undefined, 2)}\n`, signal);
    await replaceFile(join(folder, DOCUMENT), report.html, signal);
    return `${auditId}/${DOCUMENT}`;
  }

  /** The document of an audit, open for reading; undefined when there is none. */
  async open(auditId: string): Promise<FileHandle | undefined> {
    try {
      return await open(join(this.#folderOf(auditId), DOCUMENT), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Only an id becomes a part of a path, never what a client wrote. */
  #folderOf(auditId: string): string {
    if (!isUUID(auditId)) throw new TypeError(`${JSON.stringify(auditId)} is not the id of an audit`);
    return join(this.config.reportsDir, auditId);
  }
}

/** A reader sees the old file or the new one, never a half: also when two attempts write at the same time. */
async function replaceFile(path: string, text: string, signal?: AbortSignal): Promise<void> {
  const draft = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(draft, text, { signal });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
