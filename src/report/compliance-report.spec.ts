import type { LicenceFinding } from '../licences/licence-finding.js';
import { renderReport } from './compliance-report.js';
import type { AuditFailure } from './report-summary.js';

function finding(name: string, changes: Partial<LicenceFinding> = {}): LicenceFinding {
  return {
    package: name,
    version: '1.0.0',
    declared: 'MIT',
    identified: [{ id: 'MIT', confidence: 1, alternatives: [], file: 'LICENSE', weak: false }],
    verdict: 'consistent',
    category: 'permissive',
    obligations: ['include-licence', 'include-copyright'],
    notes: [],
    files: [],
    ...changes,
  };
}

function failure(name: string, changes: Partial<AuditFailure> = {}): AuditFailure {
  return {
    package: name,
    version: '2.0.0',
    reason: 'error',
    code: 'MISSING_LICENCE_TEXT',
    message: `${name} has no text`,
    ...changes,
  };
}

const apache = { id: 'Apache-2.0', confidence: 0.99, alternatives: [], file: 'LICENSE.Apache', weak: false };
const times = { startedAt: new Date('2026-08-07T09:30:00Z'), finishedAt: '2026-08-07T09:30:12.300Z' };

describe('renderReport', () => {
  const findings = [
    finding('zeta', { category: 'public-domain', obligations: [] }),
    finding('beta', {
      verdict: 'contradiction',
      identified: [...finding('beta').identified, apache],
      notes: ['The manifest declares MIT, LICENSE.Apache holds Apache-2.0.'],
    }),
    finding('alpha'),
    finding('gamma', { verdict: 'undeclared', declared: null }),
  ];
  const failures = [
    failure('lost', { attempts: 3 }),
    failure('slow', { code: 'TIME_LIMIT', reason: 'hard limit' }),
  ];
  const report = renderReport({ title: 'Audit', ...times, findings, failures });

  it('counts outcomes, categories, licences and obligations', () => {
    expect(report.json.summary).toEqual({
      packages: 6,
      consistent: 2,
      contradictions: 1,
      undeclared: 1,
      failed: 2,
      categories: [
        { name: 'public-domain', packages: 1 },
        { name: 'permissive', packages: 3 },
      ],
      licences: [
        { name: 'MIT', packages: 4 },
        { name: 'Apache-2.0', packages: 1 },
      ],
      obligations: [
        { name: 'include-copyright', packages: 3 },
        { name: 'include-licence', packages: 3 },
      ],
      failures: [
        { name: 'MISSING_LICENCE_TEXT', packages: 1 },
        { name: 'TIME_LIMIT', packages: 1 },
      ],
    });
  });

  it('gives plain data, sorted, with the duration', () => {
    expect(JSON.parse(JSON.stringify(report.json))).toEqual(report.json);
    expect(report.json.findings.map((item) => item.package)).toEqual(['alpha', 'beta', 'gamma', 'zeta']);
    expect(report.json).toMatchObject({ startedAt: '2026-08-07T09:30:00.000Z', durationMs: 12_300 });
  });

  it('is a complete document that needs neither scripts nor the network', () => {
    expect(report.html).toMatch(/^<!doctype html>\s*<html lang="en">/);
    expect(report.html.trimEnd()).toMatch(/<\/html>$/);
    expect(report.html).not.toMatch(/<script|<link|<img|\ssrc=|https?:|url\(|@import/i);
  });

  it('shows contradictions before failures, and both before the whole list', () => {
    const order = ['id="contradictions"', 'id="failures"', 'id="findings"'].map((id) =>
      report.html.indexOf(id),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(report.html).toContain('The manifest declares MIT, LICENSE.Apache holds Apache-2.0.');
  });

  it('groups failures by code, in words where it has them', () => {
    const groups = [...report.html.matchAll(/<h3>(.*?)<\/h3>/gs)].map(([, heading]) =>
      heading?.replace(/<.*?>/g, ''),
    );
    expect(groups.map((group) => group?.replace(/\s+/g, ' ').trim())).toEqual([
      'No licence text MISSING_LICENCE_TEXT 1 package',
      'TIME_LIMIT 1 package',
    ]);
  });

  it('describes each chart for those who cannot see it', () => {
    const charts = [...report.html.matchAll(/<svg[\s\S]*?<\/svg>/g)].map(([svg]) => svg);
    expect(charts).toHaveLength(3);
    for (const chart of charts) {
      const [, labels = ''] = /role="img"\s+aria-labelledby="([^"]+)"/.exec(chart) ?? [];
      for (const id of labels.split(' ')) expect(chart).toContain(`id="${id}"`);
    }
    expect(report.html).toContain('Public domain: 1 (25\u00A0%); Permissive: 3 (75\u00A0%)');
  });

  it('uses every id once', () => {
    const ids = [...report.html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('renders an empty audit', () => {
    const empty = renderReport({ title: 'Empty', ...times, findings: [], failures: [] });
    expect(empty.html).toContain('Every package could be audited.');
    expect(empty.html).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('lets no text of a package become markup', () => {
    const hostile = `</style></title><script>alert(1)</script><img src=x onerror="alert('x')">\u202E`;
    const text = renderReport({
      title: hostile,
      ...times,
      findings: [
        finding(hostile, {
          version: hostile,
          declared: hostile,
          verdict: 'contradiction',
          notes: [hostile],
          identified: [{ id: hostile, confidence: 1, alternatives: [], file: hostile, weak: false }],
        }),
      ],
      failures: [failure(hostile, { version: hostile, reason: hostile, code: hostile, message: hostile })],
    }).html;
    expect(text).not.toContain('<script');
    expect(text).not.toContain('<img');
    expect(text).not.toContain('\u202E');
    expect(text.match(/<\/style>/g)).toHaveLength(1);
    const harmless = renderReport({
      title: 'x',
      ...times,
      findings: [finding('x', { verdict: 'contradiction', notes: ['x'] })],
      failures: [failure('x')],
    }).html;
    const tags = (markup: string) =>
      (markup.match(/<\/?[a-z][a-z0-9]*/g) ?? []).filter((tag) => !tag.endsWith('code'));
    expect(tags(text)).toEqual(tags(harmless));
  });
});
