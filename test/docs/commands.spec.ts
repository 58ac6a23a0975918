import { filesEndingIn, read } from './workspace.js';

const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
const documents = filesEndingIn('.md');

/** Names after `npm run`, also those that a script mentions. */
function scriptsNamedIn(text: string): string[] {
  return [...text.matchAll(/\bnpm run (?:(?:--silent|-s) )?([\w:-]+)/g)].map(([, name = '']) => name);
}

describe('commands', () => {
  it('are named by the README: one to see it work, one to test it', () => {
    const readme = read('README.md');
    expect(readme).toMatch(/\bnpm run demo\b/);
    expect(readme).toMatch(/\bnpm test\b/);
    expect(scripts).toEqual(expect.objectContaining({ demo: expect.any(String), test: expect.any(String) }));
  });

  it('exist where a document names them', () => {
    const missing = documents.flatMap((file) =>
      scriptsNamedIn(read(file))
        .filter((name) => !(name in scripts))
        .map((name) => `${file}: npm run ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it('exist where a script calls them', () => {
    const missing = Object.values(scripts)
      .flatMap(scriptsNamedIn)
      .filter((name) => !(name in scripts));
    expect(missing).toEqual([]);
  });

  it('run files of ours that exist', () => {
    const files = Object.values(scripts).flatMap((script) => [
      ...script.matchAll(/\btools\/[\w/.-]+\.mjs\b/g),
    ]);
    expect(files.length).toBeGreaterThan(0);
    for (const [file] of files) expect(read(file)).not.toBe('');
  });
});
