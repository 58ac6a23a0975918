import { Injectable } from '@nestjs/common';
import type { IdentifiedLicence, LicenceFinding } from './licence-finding.js';
import { type LicenceIdentification, LicenceIdentifier } from './licence-identifier.js';
import { LicenceReader, type LicenceText, type PackageLicences, type ReadOptions } from './licence-reader.js';
import { judge } from './licence-verdict.js';
import { MissingLicenceTextError, UnidentifiedLicenceError } from './licence.errors.js';
import type { InstalledPackage } from './package-inventory.js';

/** Below this share of recognised words, the report mentions that a file says more than its licence. */
const FULL_COVERAGE = 0.9;

/** Audits the licence of one package: what it declares, what its texts say, and whether the two agree. */
@Injectable()
export class LicenceAuditor {
  constructor(
    private readonly reader: LicenceReader,
    private readonly identifier: LicenceIdentifier,
  ) {}

  /**
   * Audits one package. A contradiction is a finding, not a failure.
   * @throws BrokenManifestError when the package.json is missing or unusable
   * @throws MissingLicenceTextError when the package has no licence text
   * @throws UnidentifiedLicenceError when none of its texts is of a known licence
   */
  async audit(pkg: InstalledPackage, options: ReadOptions = {}): Promise<LicenceFinding> {
    const licences = await this.reader.read(pkg, options);
    const { identified, unidentified, notes } = await this.identifyAll(licences.texts, options.signal);
    if (identified.length === 0) throw failureOf(pkg, licences, unidentified);
    const { notes: verdictNotes, ...judgement } = judge(licences.declared, identified);
    return {
      package: pkg.name,
      version: pkg.version,
      declared: licences.declared.expression ?? licences.declared.raw,
      identified,
      ...judgement,
      notes: [...verdictNotes, ...licences.declared.notes, ...notes],
      files: [...licences.files],
    };
  }

  private async identifyAll(texts: readonly LicenceText[], signal?: AbortSignal): Promise<Identified> {
    const result: Identified = { identified: [], unidentified: [], notes: [] };
    for (const { file, text } of texts) {
      signal?.throwIfAborted();
      const weak = file.kind === 'readme';
      const identification = await this.identifier.identify(text);
      const { matches, coverage } = identification;
      if (matches.length === 0) result.unidentified.push(identification);
      result.identified.push(...matches.map((match) => ({ ...match, file: file.path, weak })));
      result.notes.push(
        ...remarksOn(file.path, { weak, truncated: file.truncated, found: matches.length, coverage }),
      );
    }
    return result;
  }
}

interface Identified {
  readonly identified: IdentifiedLicence[];
  readonly unidentified: LicenceIdentification[];
  readonly notes: string[];
}

function failureOf(
  pkg: InstalledPackage,
  { texts, declared }: PackageLicences,
  results: LicenceIdentification[],
): Error {
  // A README that only names the licence ("MIT © Jane Doe") is not a licence text.
  const files = texts.filter(({ file }) => file.kind === 'licence').map(({ file }) => file.path);
  if (files.length === 0) return new MissingLicenceTextError(pkg, declared.raw);
  const closest = results
    .flatMap((result) => result.closest ?? [])
    .sort((a, b) => b.confidence - a.confidence)[0];
  return new UnidentifiedLicenceError(pkg, files, closest ?? null);
}

function remarksOn(
  file: string,
  {
    weak,
    truncated,
    found,
    coverage,
  }: { weak: boolean; truncated: boolean; found: number; coverage: number },
): string[] {
  const remarks: string[] = [];
  if (weak) remarks.push(`There is no licence file; the text stands in ${file}.`);
  if (truncated) remarks.push(`${file} is too long; only its beginning was read.`);
  if (found === 0) remarks.push(`${file} matches no known licence.`);
  else if (coverage < FULL_COVERAGE) {
    remarks.push(`${Math.round((1 - coverage) * 100)} % of ${file} is not part of a known licence.`);
  }
  return remarks;
}
