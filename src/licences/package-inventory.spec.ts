import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { PackageInventory } from './package-inventory.js';
import { temporaryProject } from './temporary-project.fixture.js';

const manifest = (name: string, version = '1.0.0') => JSON.stringify({ name, version });

describe('PackageInventory', () => {
  const inventory = new PackageInventory();

  it('lists scoped and nested packages, sorted by name, version and path', async () => {
    await using project = await temporaryProject({
      'node_modules/zeta/package.json': manifest('zeta'),
      'node_modules/zeta/node_modules/alpha/package.json': manifest('alpha', '1.5.0'),
      'node_modules/@scope/beta/package.json': manifest('@scope/beta'),
      'node_modules/alpha/package.json': manifest('alpha', '2.0.0'),
      'node_modules/alpha/lib/package.json': '{"type":"commonjs"}',
      'node_modules/.bin/tool': '',
      'node_modules/no-manifest/index.js': '',
    });
    expect(await inventory.list(project.root)).toEqual({
      packages: [
        { name: '@scope/beta', version: '1.0.0', path: 'node_modules/@scope/beta' },
        { name: 'alpha', version: '1.5.0', path: 'node_modules/zeta/node_modules/alpha' },
        { name: 'alpha', version: '2.0.0', path: 'node_modules/alpha' },
        { name: 'zeta', version: '1.0.0', path: 'node_modules/zeta' },
      ],
      broken: [],
    });
  });

  it.each([
    ['{ not json', /^is not JSON/],
    ['[]', /^is not a JSON object/],
    ['{"version":"1.0.0"}', /^has no name/],
    ['{"name":"odd","version":1}', /^has no version/],
  ])('reports the manifest %s and goes on', async (text, problem) => {
    await using project = await temporaryProject({
      'node_modules/odd/package.json': text,
      'node_modules/odd/node_modules/inner/package.json': manifest('inner'),
    });
    const { packages, broken } = await inventory.list(project.root);
    expect(packages.map(({ name }) => name)).toEqual(['inner']);
    expect(broken).toEqual([
      { name: 'odd', version: '', path: 'node_modules/odd', problem: expect.stringMatching(problem) },
    ]);
  });

  it('lists a folder once, however many links lead to it', async () => {
    await using project = await temporaryProject({
      'node_modules/.pnpm/alpha@1.0.0/node_modules/alpha/package.json': manifest('alpha'),
      'packages/own/package.json': manifest('own'),
    });
    const modules = join(project.root, 'node_modules');
    await symlink(join(modules, '.pnpm/alpha@1.0.0/node_modules/alpha'), join(modules, 'alpha'));
    await symlink(join(project.root, 'packages/own'), join(modules, 'own'));
    await symlink(modules, join(project.root, 'packages/own/node_modules'));
    await symlink(join(project.root, 'gone'), join(modules, 'dangling'));
    const { packages } = await inventory.list(project.root);
    expect(packages.map(({ name }) => name)).toEqual(['alpha', 'own']);
  });

  it('answers an empty list for a project without dependencies', async () => {
    await using project = await temporaryProject({});
    expect(await inventory.list(project.root)).toEqual({ packages: [], broken: [] });
  });

  it('stops when its signal is aborted', async () => {
    await using project = await temporaryProject({ 'node_modules/alpha/package.json': manifest('alpha') });
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(inventory.list(project.root, { signal })).rejects.toThrow('enough');
  });
});
