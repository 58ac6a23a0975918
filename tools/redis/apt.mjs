// @ts-check
/**
 * apt for an ordinary user: packages are downloaded and unpacked into a folder, and nothing on the system
 * changes. Sources and keys are the system's, so signatures and hashes are checked as always; indexes,
 * caches and hooks are not.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findExecutable, runCommand } from './command.mjs';

const tools = /** @type {const} */ (['apt-get', 'apt-cache', 'dpkg-deb', 'tar']);
const timeoutMs = 180_000;

/**
 * @typedef {{
 *   update(): Promise<void>,
 *   dependencies(packageNames: readonly string[]): Promise<string[]>,
 *   unpack(packageNames: readonly string[], into: string): Promise<void>,
 * }} Apt
 */

/**
 * The names of the programs that are needed and not on PATH.
 * @returns {string[]}
 */
export function missingAptTools() {
  return tools.filter((tool) => !findExecutable(tool));
}

/**
 * Prepares apt to work in `folder`, with the package indexes of the system or with its own.
 * @param {string} folder
 * @param {'system' | 'own'} indexes
 * @returns {Promise<Apt>}
 */
export async function createApt(folder, indexes) {
  const [aptGet, aptCache, dpkgDeb] = tools.map((tool) => /** @type {string} */ (findExecutable(tool)));
  const configFile = join(folder, `apt-${indexes}.conf`);
  const downloads = join(folder, 'downloads');
  await mkdir(join(folder, 'state/lists/partial'), { recursive: true });
  await mkdir(join(folder, 'cache/archives/partial'), { recursive: true });
  await writeFile(configFile, configuration(folder, indexes));

  /**
   * @param {string | undefined} file
   * @param {readonly string[]} args
   * @param {string} [cwd]
   */
  const run = async (file, args, cwd = folder) => {
    const env = { LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
    const outcome = await runCommand(file ?? '', args, { timeoutMs, cwd, env });
    if (!outcome.ok) throw new Error(outcome.failure);
    return outcome.stdout;
  };

  return {
    async update() {
      // One unreachable third-party source fails the whole update; what matters is what can be downloaded then.
      await run(aptGet, ['-c', configFile, '-q', 'update']).catch(() => {});
    },

    async dependencies(packageNames) {
      const args = ['-c', configFile, 'depends', '--important', ...packageNames];
      const lines = (await run(aptCache, args)).split('\n');
      return lines.flatMap((line) => /^\s*\|?(?:Pre)?Depends: ([^<>\s:]+)/.exec(line)?.[1] ?? []);
    },

    async unpack(packageNames, into) {
      if (packageNames.length === 0) return;
      await rm(downloads, { recursive: true, force: true });
      await mkdir(downloads);
      await run(aptGet, ['-c', configFile, '-q', 'download', ...packageNames], downloads);
      for (const file of await readdir(downloads)) {
        await run(dpkgDeb, ['-x', join(downloads, file), into]);
      }
    },
  };
}

/**
 * Read after the system's own configuration. The hooks are cleared because some refresh system caches.
 * @param {string} folder
 * @param {'system' | 'own'} indexes
 */
function configuration(folder, indexes) {
  const state = [`Dir::State "${folder}/state";`, `Dir::State::lists "${folder}/state/lists";`];
  return [
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    ...(indexes === 'own' ? state : []),
    `Dir::Cache "${folder}/cache";`,
    `Dir::Cache::archives "${folder}/cache/archives";`,
    'Dir::Cache::pkgcache "pkgcache.bin";',
    'Dir::Cache::srcpkgcache "srcpkgcache.bin";',
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::IndexTargets::deb-src::Sources::DefaultEnabled "false";',
    'Acquire::Retries "2";',
    'Acquire::http::Timeout "15";',
    'Acquire::https::Timeout "15";',
    '',
  ].join('\n');
}
