import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, runNode } from './workspace.js';

const folder = mkdtempSync(join(tmpdir(), 'pack-contents-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const manifest = {
  main: './dist/index.js',
  types: './dist/index.d.ts',
  exports: {
    '.': { types: './dist/index.d.ts', default: './dist/index.js' },
    './package.json': './package.json',
  },
};
const good = {
  'package.json': JSON.stringify(manifest),
  'README.md': '',
  LICENSE: '',
  'CHANGELOG.md': '',
  'dist/index.js': '//# sourceMappingURL=index.js.map',
  'dist/index.js.map': JSON.stringify({ sources: ['../src/index.ts'], sourcesContent: ['export {};'] }),
  'dist/index.d.ts': 'export {};',
};

/** What is said about a package of these files. */
async function problemsOf(name: string, files: Readonly<Record<string, string>>): Promise<string[]> {
  const at = join(folder, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(at, path)), { recursive: true });
    writeFileSync(join(at, path), text);
  }
  const tool = pathToFileURL(join(root, 'tools/pack-contents.mjs')).href;
  const program = `import { checkPackage } from ${JSON.stringify(tool)};
    console.log(JSON.stringify(await checkPackage(${JSON.stringify(at)}, ${JSON.stringify(Object.keys(files))})));`;
  const { stdout, stderr } = await runNode(['--input-type=module', '--eval', program]);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as string[];
}

describe('what is packed', () => {
  it('may be code, declarations, maps with their text, and the files beside them', async () => {
    expect(await problemsOf('good', good)).toEqual([]);
  });

  it('is refused with everything that is wrong', async () => {
    const { LICENSE: _, 'dist/index.d.ts': __, ...rest } = good;
    const problems = await problemsOf('bad', {
      ...rest,
      'src/index.ts': '',
      'dist/a.spec.js': '',
      'dist/b.tsbuildinfo': '',
      'dist/c.js': '//# sourceMappingURL=c.js.map',
      'dist/c.d.ts': '//# sourceMappingURL=c.d.ts.map',
      'dist/c.d.ts.map': JSON.stringify({ sources: ['../src/c.ts'] }),
    });
    expect(problems).toEqual([
      'LICENSE is not packed',
      'dist/index.js has no declaration',
      'src/index.ts lies outside dist',
      'dist/a.spec.js belongs to the tests',
      'dist/b.tsbuildinfo is neither code nor declaration',
      'types leads to dist/index.d.ts, which is not packed',
      'exports . leads to dist/index.d.ts, which is not packed',
      'dist/c.js names the source map c.js.map, which does not exist',
      `dist/c.d.ts has a source map to ${join(folder, 'bad/src/c.ts')}, which is not packed`,
    ]);
  });
});
