import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { transientCode } from './transient-error.js';

/** The fields of a package.json that the audit reads; what an author wrote there may be anything. */
export interface PackageManifest {
  readonly name: string;
  readonly version: string;
  readonly license?: unknown;
  readonly licenses?: unknown;
}

/** Why a manifest is unusable, in words that complete "package.json …". */
export class ManifestProblem extends Error {
  override readonly name = 'ManifestProblem';
}

/**
 * Reads the package.json of a folder.
 * @returns undefined when the folder has none
 * @throws ManifestProblem when it has one that cannot be used
 */
export async function readManifest(
  folder: string,
  signal?: AbortSignal,
): Promise<PackageManifest | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, 'package.json'), { encoding: 'utf8', signal });
  } catch (error) {
    signal?.throwIfAborted();
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    // Says nothing about the package: another try may well read it.
    if (transientCode(error) !== undefined) throw error;
    throw new ManifestProblem(`cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return parseManifest(text);
}

function parseManifest(text: string): PackageManifest {
  let manifest: unknown;
  try {
    manifest = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new ManifestProblem(`is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof manifest !== 'object' || manifest === null || Array.isArray(manifest)) {
    throw new ManifestProblem('is not a JSON object');
  }
  const { name, version, license, licenses } = manifest as Record<string, unknown>;
  if (typeof name !== 'string' || name === '') throw new ManifestProblem('has no name');
  if (typeof version !== 'string' || version === '') throw new ManifestProblem('has no version');
  return { name, version, license, licenses };
}
