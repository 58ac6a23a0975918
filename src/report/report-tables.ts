/** The tables of the report. */
import { OBLIGATIONS, type Obligation } from '../licences/licence-catalogue.js';
import type { LicenceFinding } from '../licences/licence-finding.js';
import { html, type SafeHtml } from './html.js';
import { CATEGORY_LABELS, countOf, failureLabel, VERDICT_LABELS } from './report-labels.js';
import type { AuditFailure, Count } from './report-summary.js';

/** Every finding, one package a row. */
export function findingsTable(findings: readonly LicenceFinding[]): SafeHtml {
  return table(
    ['Package', 'Version', 'Declared', 'Identified', 'Verdict', 'Category', 'Obligations'],
    findings.map(
      (finding) =>
        html`<tr>
          ${packageCells(finding, remarks(finding.notes))}
          <td class="declared">${declared(finding)}</td>
          <td>${identified(finding, 'as hint')}</td>
          <td>${verdictChip(finding)}</td>
          <td>${categoryChip(finding)}</td>
          <td class="obligations">${finding.obligations.map(obligationLabel).join(' · ') || '—'}</td>
        </tr>`,
    ),
  );
}

/** The packages whose texts and declaration disagree, with the reason in full. */
export function contradictionsTable(findings: readonly LicenceFinding[]): SafeHtml {
  return table(
    ['Package', 'Version', 'Declared', 'Identified', 'What disagrees'],
    findings.map(
      (finding) =>
        html`<tr>
          ${packageCells(finding)}
          <td class="declared">${declared(finding)}</td>
          <td>${identified(finding, 'in words')}</td>
          <td>${remarks(finding.notes)}</td>
        </tr>`,
    ),
  );
}

/** The failures, in one group for each error code. */
export function failureGroups(failures: readonly AuditFailure[], groups: readonly Count[]): SafeHtml {
  return html`${groups.map(({ name, packages }) => {
    const members = failures.filter(({ code }) => code === name);
    return html`<section class="group">
      <h3>
        ${failureLabel(name)} ${failureLabel(name) !== name && html`<code>${name}</code>`}
        <span class="count">${countOf(packages, 'package')}</span>
      </h3>
      ${table(
        ['Package', 'Version', 'Reason', 'Attempts', 'Message'],
        members.map(
          (failure) =>
            html`<tr>
              ${packageCells(failure)}
              <td>${failure.reason}</td>
              <td class="number">${failure.attempts ?? '—'}</td>
              <td class="message">${failure.message}</td>
            </tr>`,
        ),
      )}
    </section>`;
  })}`;
}

/** How many packages of the whole ask for what. */
export function obligationsTable(obligations: readonly Count<Obligation>[], whole: number): SafeHtml {
  return html`<table>
    ${head(['Obligation', 'Packages', ''])}
    <tbody>
      ${obligations.map(
        ({ name, packages }) =>
          html`<tr>
            <th scope="row">${obligationLabel(name)}</th>
            <td class="number">${packages}</td>
            <td class="meter"><span style="width:${((100 * packages) / whole).toFixed(1)}%"></span></td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function table(headings: readonly string[], rows: readonly SafeHtml[]): SafeHtml {
  return html`<div class="table-wrap wide">
    <table>
      ${head(headings)}
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

function head(headings: readonly string[]): SafeHtml {
  return html`<thead>
    <tr>
      ${headings.map((heading) => (heading === '' ? html`<td></td>` : html`<th scope="col">${heading}</th>`))}
    </tr>
  </thead>`;
}

function packageCells(item: { package: string; version: string }, below?: SafeHtml): SafeHtml {
  return html`<th scope="row"><bdi>${item.package}</bdi>${below}</th>
    <td class="version"><bdi>${item.version || '—'}</bdi></td>`;
}

function declared(finding: LicenceFinding): SafeHtml {
  return finding.declared === null
    ? html`<span class="muted">nothing</span>`
    : html`<bdi>${finding.declared}</bdi>`;
}

/** The licences found in a package; the files that hold them in words, or only as a hint to save room. */
function identified({ identified: licences }: LicenceFinding, files: 'in words' | 'as hint'): SafeHtml {
  return html`<ul class="plain">
    ${licences.map(({ id, confidence, file, weak }) => {
      const share = `${Math.floor(confidence * 100)}\u00A0%`;
      return html`<li title="${share} of the wording agrees, in ${file}">
        ${id} <span class="muted">${share}${weak && ', README only'}</span>
        ${files === 'in words' && html`<span class="muted">in <bdi>${file}</bdi></span>`}
      </li>`;
    })}
  </ul>`;
}

function verdictChip({ verdict }: LicenceFinding): SafeHtml {
  const { label, sign } = VERDICT_LABELS[verdict];
  return html`<span class="chip verdict-${verdict}"><span aria-hidden="true">${sign}</span> ${label}</span>`;
}

function categoryChip({ category }: LicenceFinding): SafeHtml {
  return html`<span class="category"
    ><span class="swatch" style="background:var(--${category})"></span>${CATEGORY_LABELS[category]}</span
  >`;
}

function remarks(notes: readonly string[]): SafeHtml {
  if (notes.length === 0) return html``;
  return html`<ul class="plain remarks">
    ${notes.map((note) => html`<li>${note}</li>`)}
  </ul>`;
}

function obligationLabel(obligation: Obligation): string {
  return OBLIGATIONS[obligation];
}
