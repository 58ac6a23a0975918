import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { nativeCompiler, read, root, runNode } from './workspace.js';

describe('public API', () => {
  it('is what the committed list says (npm run docs:api writes it anew)', async () => {
    const { code, stdout, stderr } = await runNode(['tools/public-api.mjs']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual(JSON.parse(read('test/docs/public-api.json')));
  });

  describe('as a user sees it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'declarations-'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it('has no any', async () => {
      const emitted = await runNode([
        nativeCompiler,
        ...['--project', join(root, 'libs/task-queue/tsconfig.lib.json'), '--pretty', 'false'],
        ...['--declaration', '--emitDeclarationOnly', '--noCheck', '--outDir', folder],
      ]);
      expect(emitted).toMatchObject({ code: 0, stdout: '' });
      const entries = Object.keys(JSON.parse(read('test/docs/public-api.json')) as object).map((name) =>
        join(folder, name.replace('nestjs-task-queue', ''), 'index.d.ts'),
      );
      expect(reachableFrom(entries).flatMap(anysIn)).toEqual([]);
    });

    it('would be reported if it had one', () => {
      const file = 'x.d.ts';
      const text = 'export declare const x: any;\nexport type Any = `any`; // any';
      expect(anysOf(file, text)).toEqual(['x.d.ts:1 x: any']);
    });
  });
});

/** The declarations that an entry point leads to. */
function reachableFrom(entries: readonly string[]): string[] {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    for (const { fileName } of ts.preProcessFile(ts.sys.readFile(file) ?? '').importedFiles) {
      if (fileName.startsWith('.')) visit(join(file, '..', fileName.replace(/\.js$/, '.d.ts')));
    }
  };
  entries.forEach(visit);
  return [...found];
}

function anysIn(file: string): string[] {
  return anysOf(file.slice(file.indexOf('declarations-')), ts.sys.readFile(file) ?? '');
}

/** Where `any` stands as a type. */
function anysOf(name: string, text: string): string[] {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart());
      found.push(`${name}:${line + 1} ${node.parent.getText().slice(0, 100)}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}
