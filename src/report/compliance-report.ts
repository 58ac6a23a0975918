/** Renders the outcome of a licence audit as one self-contained document, and as data. */
import { CATEGORIES } from '../licences/licence-catalogue.js';
import type { LicenceFinding } from '../licences/licence-finding.js';
import { html, SafeHtml } from './html.js';
import { bars, type ChartPart, donut, legend, stackedBar } from './report-charts.js';
import {
  CATEGORY_LABELS,
  countOf,
  formatDuration,
  formatMoment,
  formatNumber,
  formatShare,
} from './report-labels.js';
import { REPORT_STYLE } from './report-style.js';
import { type AuditFailure, type AuditSummary, summarise } from './report-summary.js';
import { contradictionsTable, failureGroups, findingsTable, obligationsTable } from './report-tables.js';

/** What a report is made of. */
export interface ReportInput {
  title: string;
  startedAt: Date | string;
  finishedAt: Date | string;
  findings: readonly LicenceFinding[];
  failures: readonly AuditFailure[];
}

/** The report as data: plain JSON, with the same content as the document. */
export interface ComplianceReport {
  title: string;
  /** ISO 8601. */
  startedAt: string;
  finishedAt: string;
  durationMs: number;
  summary: AuditSummary;
  /** All findings, sorted by package and version. */
  findings: LicenceFinding[];
  failures: AuditFailure[];
}

/** Renders a report: `html` is a complete document without scripts or outside resources, `json` is plain data. */
export function renderReport(input: ReportInput): { html: string; json: ComplianceReport } {
  const startedAt = new Date(input.startedAt);
  const finishedAt = new Date(input.finishedAt);
  const json: ComplianceReport = {
    title: input.title,
    startedAt: startedAt.toISOString(),
    finishedAt: finishedAt.toISOString(),
    durationMs: finishedAt.getTime() - startedAt.getTime(),
    summary: summarise(input.findings, input.failures),
    findings: [...input.findings].sort(byPackage),
    failures: [...input.failures].sort(byPackage),
  };
  return { html: document(json).toString(), json };
}

const POLICY = "default-src 'none'; style-src 'unsafe-inline'";
const TOP_LICENCES = 10;

function document(report: ComplianceReport): SafeHtml {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <title>${report.title}</title>
        <style>
          ${new SafeHtml(REPORT_STYLE)}
        </style>
      </head>
      <body>
        ${header(report)}
        <main>
          ${overview(report.summary)} ${charts(report.summary)} ${contradictions(report)} ${failures(report)}
          ${obligations(report.summary)} ${findings(report)}
        </main>
        <footer>
          Licences are recognised by comparing their texts with the SPDX licence list. Categories and
          obligations are a first sorting, not legal advice.
        </footer>
      </body>
    </html> `;
}

function header({ title, startedAt, finishedAt, durationMs }: ComplianceReport): SafeHtml {
  return html`<header>
    <p class="eyebrow">Licence compliance report</p>
    <h1>${title}</h1>
    <p class="meta">
      Finished <time datetime="${finishedAt}">${formatMoment(finishedAt)}</time> after
      ${formatDuration(durationMs)}, started <time datetime="${startedAt}">${formatMoment(startedAt)}</time>
    </p>
    <nav aria-label="Sections">
      <a href="#contradictions">Contradictions</a><a href="#failures">Failures</a
      ><a href="#obligations">Obligations</a><a href="#findings">All findings</a>
    </nav>
  </header>`;
}

function overview(summary: AuditSummary): SafeHtml {
  const outcomes: ChartPart[] = [
    { label: 'Consistent', value: summary.consistent, colour: 'consistent' },
    { label: 'Contradictions', value: summary.contradictions, colour: 'contradiction' },
    { label: 'Undeclared', value: summary.undeclared, colour: 'undeclared' },
    { label: 'Failed', value: summary.failed, colour: 'failed' },
  ];
  const figures = [{ label: 'Packages', value: summary.packages, colour: 'bar' }, ...outcomes];
  return html`<section class="card" aria-label="Summary">
    <ul class="figures">
      ${figures.map(
        ({ label, value, colour }) =>
          html`<li style="--accent:var(--${colour})">
            <strong>${formatNumber(value)}</strong>
            <span>${label}</span>
            <span class="share">${colour !== 'bar' && formatShare(value, summary.packages)}</span>
          </li>`,
      )}
    </ul>
    ${stackedBar({ id: 'outcomes', title: 'Packages by outcome' }, outcomes)}
  </section>`;
}

function charts({ categories, licences, packages, failed }: AuditSummary): SafeHtml {
  const rings = CATEGORIES.map((name) => ({
    label: CATEGORY_LABELS[name],
    value: categories.find((category) => category.name === name)?.packages ?? 0,
    colour: name,
  }));
  const top = licences
    .slice(0, TOP_LICENCES)
    .map(({ name, packages: value }) => ({ label: name, value, colour: 'bar' }));
  const rest = licences.length - top.length;
  return html`<div class="charts">
    <section class="card">
      <h2>Categories</h2>
      <div class="with-legend">
        ${donut({ id: 'categories', title: 'Findings by category' }, rings, 'findings')} ${legend(rings)}
      </div>
    </section>
    <section class="card">
      <h2>Most frequent licences</h2>
      ${bars({ id: 'licences', title: 'Packages by identified licence' }, top, packages - failed)}
      ${rest > 0 && html`<p class="lead">and ${countOf(rest, 'other licence')}</p>`}
    </section>
  </div>`;
}

function contradictions({ findings: all }: ComplianceReport): SafeHtml {
  const found = all.filter(({ verdict }) => verdict === 'contradiction');
  return html`<section class="card" id="contradictions">
    <h2>Contradictions</h2>
    ${
      found.length === 0
        ? html`<p class="lead">Every declared licence agrees with the texts that were found.</p>`
        : html`<p class="lead">
              ${countOf(found.length, 'package')} whose licence texts are of another licence than the declared
              one. Category and obligations count both.
            </p>
            ${contradictionsTable(found)}`
    }
  </section>`;
}

function failures({ failures: all, summary }: ComplianceReport): SafeHtml {
  return html`<section class="card" id="failures">
    <h2>Failures</h2>
    ${
      all.length === 0
        ? html`<p class="lead">Every package could be audited.</p>`
        : html`<p class="lead">
              ${countOf(all.length, 'package')} could not be audited; the findings of the others are complete.
            </p>
            ${failureGroups(all, summary.failures)}`
    }
  </section>`;
}

function obligations({ obligations: counts, packages, failed }: AuditSummary): SafeHtml {
  return html`<section class="card" id="obligations">
    <h2>Obligations</h2>
    <p class="lead">What the licences ask for when the packages are passed on.</p>
    ${obligationsTable(counts, packages - failed)}
  </section>`;
}

function findings({ findings: all }: ComplianceReport): SafeHtml {
  return html`<section class="card" id="findings">
    <h2>All findings</h2>
    <p class="lead">${countOf(all.length, 'package')}, by name.</p>
    ${findingsTable(all)}
  </section>`;
}

function byPackage(a: { package: string; version: string }, b: { package: string; version: string }): number {
  if (a.package !== b.package) return a.package < b.package ? -1 : 1;
  return a.version < b.version ? -1 : a.version > b.version ? 1 : 0;
}
