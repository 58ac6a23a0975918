import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FencedBlock, fencedBlocks, filesEndingIn, nativeCompiler, root, runNode } from './workspace.js';

/** Below the workspace, so that its packages are found; ignored by git. */
const folder = join(root, '.cache/snippets');

const documents = ['README.md', ...filesEndingIn('.md', 'docs')].filter(
  (file) => !file.includes('decisions/'),
);

/** Code that promises to compile says so in its first line. */
function checkedBlocks(): FencedBlock[] {
  return documents
    .flatMap(fencedBlocks)
    .filter(({ language, text }) => /^(?:ts|typescript)$/.test(language) && /^\s*\/\/ checked\b/.test(text));
}

/** One file for each block, with its code on the lines that it has in its document. */
function write(name: string, line: number, text: string): void {
  writeFileSync(join(folder, name), `${'\n'.repeat(line - 1)}${text}\nexport {};\n`);
}

function compile(): Promise<{ code: number; stdout: string }> {
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { rootDir: '../..', noEmit: true, declaration: false, types: ['node'] },
      include: ['./*.ts'],
    }),
  );
  return runNode([nativeCompiler, '--project', folder, '--pretty', 'false']);
}

beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('code in documents', () => {
  it('compiles against the library where it is marked as checked', async () => {
    for (const { file, line, text } of checkedBlocks()) {
      write(`${file.replace(/\W/g, '_')}.line${line}.ts`, line, text);
    }
    write('at-least-one.ts', 1, `import 'nestjs-task-queue';`);
    expect(await compile()).toMatchObject({ code: 0, stdout: '' });
  });

  it('is refused where it does not compile, with the line of its document', async () => {
    write(
      'wrong.ts',
      41,
      `import { TaskQueueModule } from 'nestjs-task-queue';\nTaskQueueModule.forRoot(1);`,
    );
    const { code, stdout } = await compile();
    expect(code).not.toBe(0);
    expect(stdout).toContain('wrong.ts(42,');
  });
});
