import type { LicenceCategory, Obligation } from './licence-catalogue.js';
import type { LicenceFile } from './licence-reader.js';

/**
 * How the declaration of a package and its texts relate:
 * - `consistent`: the texts are those of the declared licence
 * - `contradiction`: a text is of another licence than the declared one
 * - `undeclared`: nothing usable is declared, only the texts say what applies
 */
export type LicenceVerdict = 'consistent' | 'contradiction' | 'undeclared';

/** A licence recognised in a file of the package. */
export interface IdentifiedLicence {
  /** SPDX id. */
  id: string;
  /** How closely the wording matches, from 0 to 1. */
  confidence: number;
  /** Licences that the same words could nearly as well be. */
  alternatives: { id: string; confidence: number }[];
  /** The file that holds it, relative to the package. */
  file: string;
  /** Whether the source is weak: a section of the README in place of a licence file. */
  weak: boolean;
}

/** What the audit of one package found. Plain JSON throughout, so that it may travel through a queue. */
export interface LicenceFinding {
  package: string;
  version: string;
  /** The declared licence: an SPDX expression, or the raw declaration when it is none; null without one. */
  declared: string | null;
  identified: IdentifiedLicence[];
  verdict: LicenceVerdict;
  category: LicenceCategory;
  obligations: Obligation[];
  /** Remarks for the reader of the report. */
  notes: string[];
  files: LicenceFile[];
}
