import { Injectable } from '@nestjs/common';
import { readdir, realpath } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { ManifestProblem, readManifest } from './package-manifest.js';
import { transientCode } from './transient-error.js';

/** One installed package. */
export interface InstalledPackage {
  name: string;
  version: string;
  /** Its folder relative to the project root, with forward slashes: `node_modules/@nestjs/common`. */
  path: string;
}

/** A folder that is a package by its place, with a package.json that cannot be used. */
export interface BrokenPackage extends InstalledPackage {
  /** What is wrong, to be read after "package.json". The name is the folder's, the version is empty. */
  problem: string;
}

/** Everything that is installed below one project. */
export interface Inventory {
  /** Sorted by name, then version, then path. */
  packages: InstalledPackage[];
  broken: BrokenPackage[];
}

/** Lists the packages that are installed in a project, as the disk has them and not as a lock file claims. */
@Injectable()
export class PackageInventory {
  /**
   * Lists every package below `<root>/node_modules`, scoped and nested ones included. A folder that is
   * reachable in several ways, as workspaces and pnpm link them, is listed once.
   */
  async list(root: string, { signal }: { signal?: AbortSignal } = {}): Promise<Inventory> {
    const walk: Walk = { root, seen: new Set(), packages: [], broken: [], signal };
    await visitModules(walk, join(root, 'node_modules'));
    return { packages: walk.packages.sort(byNameVersionPath), broken: walk.broken.sort(byNameVersionPath) };
  }
}

interface Walk extends Inventory {
  readonly root: string;
  /** Real paths of the package folders visited so far. */
  readonly seen: Set<string>;
  readonly signal: AbortSignal | undefined;
}

async function visitModules(walk: Walk, modules: string): Promise<void> {
  for (const entry of await foldersIn(modules)) {
    if (entry === '.pnpm') {
      for (const store of await foldersIn(join(modules, entry))) {
        await visitModules(walk, join(modules, entry, store, 'node_modules'));
      }
    } else if (entry.startsWith('@')) {
      for (const scoped of await foldersIn(join(modules, entry))) {
        await visitPackage(walk, join(modules, entry, scoped), `${entry}/${scoped}`);
      }
    } else if (!entry.startsWith('.')) {
      await visitPackage(walk, join(modules, entry), entry);
    }
  }
}

async function visitPackage(walk: Walk, folder: string, folderName: string): Promise<void> {
  walk.signal?.throwIfAborted();
  const real = await realpath(folder).catch(() => undefined);
  if (real === undefined || walk.seen.has(real)) return;
  walk.seen.add(real);
  const path = relative(walk.root, folder).split(sep).join('/');
  try {
    const manifest = await readManifest(folder, walk.signal);
    if (manifest) walk.packages.push({ name: manifest.name, version: manifest.version, path });
  } catch (error) {
    if (!(error instanceof ManifestProblem)) throw error;
    walk.broken.push({ name: folderName, version: '', path, problem: error.message });
  }
  await visitModules(walk, join(folder, 'node_modules'));
}

/** The folders (and links) in a folder, sorted; none when it does not exist. */
async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    // To take it for an empty folder would leave packages out without a word.
    if (transientCode(error) !== undefined) throw error;
    return [];
  });
  return entries
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map(({ name }) => name)
    .sort();
}

function byNameVersionPath(a: InstalledPackage, b: InstalledPackage): number {
  return compare(a.name, b.name) || compare(a.version, b.version) || compare(a.path, b.path);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
