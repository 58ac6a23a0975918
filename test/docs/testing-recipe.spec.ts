/** The recipe of docs/testing.md, run by a jest of its own as a user's would be. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fencedBlocks, nativeCompiler, root, runNode } from './workspace.js';

/** Below the workspace, so that its packages are found; ignored by git. */
const folder = join(root, '.cache/recipe');

/** The files of the recipe: the blocks that say which file they are. */
const files = fencedBlocks('docs/testing.md').flatMap(({ text }) => {
  const name = /^\/\/ (\S+\.ts)$/m.exec(text)?.[1];
  return name === undefined ? [] : [{ name, text }];
});

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const { name, text } of files) writeFileSync(join(folder, name), text);
  const config = `import base from ${JSON.stringify(join(root, 'jest.config.mjs'))};
    const { displayName, ...unit } = base.projects.find(({ displayName }) => displayName === 'unit');
    export default { ...unit, rootDir: ${JSON.stringify(root)}, roots: [${JSON.stringify(folder)}],
      modulePathIgnorePatterns: [] };`;
  writeFileSync(join(folder, 'jest.config.mjs'), config);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('compiles', async () => {
  const project = { rootDir: '../..', noEmit: true, declaration: false, types: ['node', 'jest'] };
  const tsconfig = { extends: '../../tsconfig.json', compilerOptions: project, include: ['./*.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
  const compiled = await runNode([nativeCompiler, '--project', folder, '--pretty', 'false']);
  expect(compiled).toMatchObject({ code: 0, stdout: '' });
});

it('passes without Redis, and jest exits by itself', async () => {
  const { REDIS_URL: _url, TEST_REDIS_URL: _test, ...env } = process.env;
  const { code, stdout, stderr } = await runNode(
    [join(root, 'node_modules/jest/bin/jest.js'), '-c', join(folder, 'jest.config.mjs'), '-i'],
    root,
    // No program but node is within reach: nothing could start a server.
    { ...env, PATH: dirname(process.execPath) },
  );
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('3 passed, 3 total') });
  expect(stdout + stderr).not.toContain('did not exit');
});
