import { Injectable } from '@nestjs/common';
import { lstat, readdir } from 'node:fs/promises';
import { isAbsolute, join, normalize, sep } from 'node:path';
import { readBounded } from './bounded-file.js';
import { type DeclaredLicence, readDeclaration } from './declared-licence.js';
import { BrokenManifestError } from './licence.errors.js';
import type { InstalledPackage } from './package-inventory.js';
import { ManifestProblem, type PackageManifest, readManifest } from './package-manifest.js';
import { licenceSection } from './readme-section.js';

/**
 * What a file is to the audit:
 * - `licence`: a text under which the package is offered
 * - `notice`: attributions and licences of others that travel with the package
 * - `readme`: a licence section of the README, a weak source that only counts when there is no licence file
 */
export type LicenceFileKind = 'licence' | 'notice' | 'readme';

/** A file of a package that bears on its licence. */
export interface LicenceFile {
  /** Path inside the package. */
  path: string;
  kind: LicenceFileKind;
  bytes: number;
  /** Whether only the beginning was read, because the file is longer than the bound. */
  truncated: boolean;
}

/** A licence text with the file it was read from. */
export interface LicenceText {
  readonly file: LicenceFile;
  readonly text: string;
}

/** What a package says about its licence, in its manifest and in its files. */
export interface PackageLicences {
  readonly declared: DeclaredLicence;
  /** The texts to identify. */
  readonly texts: readonly LicenceText[];
  /** Every file that bears on the licence, notices included. */
  readonly files: readonly LicenceFile[];
}

/** Settings of one reading. */
export interface ReadOptions {
  /** The project folder that the package paths are relative to. @defaultValue the working directory */
  root?: string;
  /** Ends the reading early, with the reason of the signal. */
  signal?: AbortSignal;
}

/** Bytes read of one file; the longest licence of the SPDX list has about 50,000. */
const LONGEST_FILE_BYTES = 128 * 1024;

const LICENCE_NAME = /^(?:[\w.]+[-_.])?(?:un)?licen[cs]e[sd]?(?:[-_. ].*)?$|^copying(?:[-_. ].*)?$/i;
const NOTICE_NAME = /notice|third[-_ ]?part(?:y|ies)|3rd[-_ ]?party/i;
const README_NAME = /^readme(?:\.(?:md|markdown|txt|rst))?$/i;
const CODE_NAME = /\.(?:[cm]?[jt]sx?|json5?|map|css|scss|ya?ml|spdx|svg|png|py|sh)$/i;

/** Reads the declaration and the licence texts of one package from disk. */
@Injectable()
export class LicenceReader {
  /**
   * Reads one package.
   * @throws BrokenManifestError when its package.json is missing or unusable
   */
  async read(
    pkg: InstalledPackage,
    { root = process.cwd(), signal }: ReadOptions = {},
  ): Promise<PackageLicences> {
    const folder = join(root, pkg.path);
    const declared = readDeclaration(await manifestOf(pkg, folder, signal));
    const names = await filesIn(folder);
    const notices = names.filter((name) => NOTICE_NAME.test(name) && !CODE_NAME.test(name));
    const licences = names.filter(
      (name) => LICENCE_NAME.test(name) && !CODE_NAME.test(name) && !notices.includes(name),
    );
    const pointedTo = declared.file === null ? undefined : await fileInside(folder, declared.file);
    if (pointedTo !== undefined && !licences.includes(pointedTo)) licences.push(pointedTo);

    const texts: LicenceText[] = [];
    for (const path of licences) texts.push(await readText(folder, path, 'licence', signal));
    if (texts.length === 0) texts.push(...(await readmeText(folder, names, signal)));
    const files = texts.map(({ file }) => file);
    for (const path of notices) {
      const { size } = await lstat(join(folder, path));
      files.push({ path, kind: 'notice', bytes: size, truncated: false });
    }
    return { declared, texts, files };
  }
}

async function manifestOf(
  pkg: InstalledPackage,
  folder: string,
  signal?: AbortSignal,
): Promise<PackageManifest> {
  try {
    const manifest = await readManifest(folder, signal);
    if (manifest) return manifest;
  } catch (error) {
    if (error instanceof ManifestProblem) throw new BrokenManifestError(pkg, error.message, { cause: error });
    throw error;
  }
  throw new BrokenManifestError(pkg, 'does not exist');
}

async function readText(
  folder: string,
  path: string,
  kind: LicenceFileKind,
  signal?: AbortSignal,
): Promise<LicenceText> {
  const { text, bytes, truncated } = await readBounded(join(folder, path), LONGEST_FILE_BYTES, signal);
  return { file: { path, kind, bytes, truncated }, text };
}

async function readmeText(
  folder: string,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<LicenceText[]> {
  const readme = names.find((name) => README_NAME.test(name));
  if (readme === undefined) return [];
  const { file, text } = await readText(folder, readme, 'readme', signal);
  const section = licenceSection(text);
  return section === undefined ? [] : [{ file, text: section }];
}

/** The plain files of a folder, sorted. Links are left out: they may lead anywhere. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
}

/** The path of a file that a manifest names, when it exists and lies inside the package. */
async function fileInside(folder: string, path: string): Promise<string | undefined> {
  const inside = normalize(path);
  if (isAbsolute(inside) || inside === '..' || inside.startsWith(`..${sep}`)) return undefined;
  const stats = await lstat(join(folder, inside)).catch(() => undefined);
  return stats?.isFile() ? inside : undefined;
}
