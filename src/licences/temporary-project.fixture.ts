import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { InstalledPackage } from './package-inventory.js';

/** A project folder that exists for one test. */
export interface TemporaryProject extends AsyncDisposable {
  readonly root: string;
}

/** Writes the files, given by their path, into a new folder; it is removed at the end of the scope. */
export async function temporaryProject(files: Readonly<Record<string, string>>): Promise<TemporaryProject> {
  const root = await mkdtemp(join(tmpdir(), 'licences-'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };
}

/** A project with one package of the given manifest fields and files. */
export async function projectWith(
  manifest: object,
  files: Readonly<Record<string, string>> = {},
): Promise<TemporaryProject & { readonly pkg: InstalledPackage }> {
  const pkg = { name: 'sample', version: '1.0.0', path: 'node_modules/sample' };
  const project = await temporaryProject({
    [`${pkg.path}/package.json`]: JSON.stringify({ name: pkg.name, version: pkg.version, ...manifest }),
    ...Object.fromEntries(Object.entries(files).map(([path, text]) => [`${pkg.path}/${path}`, text])),
  });
  return { ...project, pkg };
}
