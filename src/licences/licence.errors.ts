/** The ways in which the audit of one package can fail, as opposed to a finding that is merely unpleasant. */

/** Stable names of the failures, for code that must tell them apart. */
export type LicenceErrorCode = 'MISSING_LICENCE_TEXT' | 'UNIDENTIFIED_LICENCE' | 'BROKEN_MANIFEST';

/** What an error says about the package it concerns. */
export interface AuditedPackage {
  readonly name: string;
  readonly version: string;
  readonly path: string;
}

/** Base of all audit failures: says which package, where it lies and what was found there. */
export abstract class LicenceAuditError extends Error {
  abstract readonly code: LicenceErrorCode;

  /** Name of the package. */
  readonly package: string;
  /** Version of the package; empty when its manifest could not be read. */
  readonly version: string;
  /** Folder of the package, relative to the audited project. */
  readonly path: string;

  constructor(message: string, subject: AuditedPackage, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.package = subject.name;
    this.version = subject.version;
    this.path = subject.path;
  }
}

/** The package has no licence text: nobody may rely on the licence that its manifest names. */
export class MissingLicenceTextError extends LicenceAuditError {
  readonly code = 'MISSING_LICENCE_TEXT';

  constructor(
    subject: AuditedPackage,
    /** The licence that the manifest declares, as it stands there. */
    readonly declared: string | null,
  ) {
    super(
      `${subject.name}@${subject.version} declares ${declared ?? 'no licence'} but ${subject.path} holds no licence ` +
        `text: no LICENSE, COPYING or similar file, and no licence text in its README`,
      subject,
    );
  }
}

/** The package has licence files, but none of them resembles a licence of the SPDX list. */
export class UnidentifiedLicenceError extends LicenceAuditError {
  readonly code = 'UNIDENTIFIED_LICENCE';

  constructor(
    subject: AuditedPackage,
    /** The files that were read. */
    readonly files: readonly string[],
    /** The licence that comes nearest, with its similarity from 0 to 1. */
    readonly closest: { readonly id: string; readonly confidence: number } | null,
  ) {
    const nearest = closest
      ? `the nearest is ${closest.id} at ${Math.round(closest.confidence * 100)} %`
      : 'none comes near';
    super(
      `${subject.name}@${subject.version}: ${files.join(', ')} in ${subject.path} matches no licence of the SPDX ` +
        `list; ${nearest}`,
      subject,
    );
  }
}

/** The package.json of an installed package cannot be read or is not what npm writes. */
export class BrokenManifestError extends LicenceAuditError {
  readonly code = 'BROKEN_MANIFEST';

  constructor(
    subject: AuditedPackage,
    /** What is wrong with it. */
    readonly problem: string,
    options?: ErrorOptions,
  ) {
    super(`${subject.path}/package.json ${problem}`, subject, options);
  }
}
