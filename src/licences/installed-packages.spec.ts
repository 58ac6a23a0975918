import { LicenceAuditor } from './licence-auditor.js';
import type { LicenceFinding } from './licence-finding.js';
import { LicenceIdentifier } from './licence-identifier.js';
import { LicenceReader } from './licence-reader.js';
import { LicenceAuditError } from './licence.errors.js';
import { PackageInventory, type InstalledPackage } from './package-inventory.js';

/** The audit of everything that is installed for this very project. */
describe('the installed packages', () => {
  const root = process.cwd();
  const findings: LicenceFinding[] = [];
  const failures: LicenceAuditError[] = [];
  let packages: InstalledPackage[] = [];

  beforeAll(async () => {
    ({ packages } = await new PackageInventory().list(root));
    const auditor = new LicenceAuditor(new LicenceReader(), new LicenceIdentifier());
    for (const pkg of packages) {
      try {
        findings.push(await auditor.audit(pkg, { root }));
      } catch (error) {
        if (!(error instanceof LicenceAuditError)) throw error;
        failures.push(error);
      }
    }
  }, 60_000);

  it('are several hundred, each with its own folder', () => {
    expect(packages.length).toBeGreaterThan(300);
    expect(new Set(packages.map(({ path }) => path)).size).toBe(packages.length);
    expect(findings.length + failures.length).toBe(packages.length);
  });

  it('have licence texts that are recognised nearly always', () => {
    const unidentified = failures.filter(({ code }) => code === 'UNIDENTIFIED_LICENCE').length;
    expect(findings.length / (findings.length + unidentified)).toBeGreaterThan(0.95);
  });

  it('have real gaps: some lack a text, some contradict themselves', () => {
    expect(failures.filter(({ code }) => code === 'MISSING_LICENCE_TEXT').length).toBeGreaterThan(0);
    const contradicting = findings.filter(({ verdict }) => verdict === 'contradiction');
    expect(contradicting.map((finding) => finding.package)).toContain('libphonenumber-js');
  });

  it('agree with their declarations as a rule', () => {
    const consistent = findings.filter(({ verdict }) => verdict === 'consistent');
    expect(consistent.length / findings.length).toBeGreaterThan(0.95);
  });
});
