import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { LicenceReader } from './licence-reader.js';
import { BrokenManifestError } from './licence.errors.js';
import { licenceSection } from './readme-section.js';
import { projectWith } from './temporary-project.fixture.js';

describe('LicenceReader', () => {
  const reader = new LicenceReader();

  it('finds licence files under all their names, and nothing else', async () => {
    const licences = ['COPYING', 'LICENSE-MIT', 'Licence.txt', 'MIT-LICENSE.txt', 'UNLICENSE', 'license.md'];
    const others = ['license.js', 'licenses.json', 'index.js', 'unlicensed-things.ts', 'README.md'];
    const files = Object.fromEntries([...licences, ...others].map((name) => [name, 'text']));
    await using project = await projectWith({ license: 'MIT' }, files);
    const { texts } = await reader.read(project.pkg, project);
    expect(texts.map(({ file }) => file.path)).toEqual(licences);
  });

  it('lists notices without taking them for licences', async () => {
    await using project = await projectWith(
      {},
      { LICENSE: 'mine', NOTICE: 'n', 'ThirdPartyNotices.txt': 'theirs' },
    );
    const { texts, files } = await reader.read(project.pkg, project);
    expect(texts.map(({ text }) => text)).toEqual(['mine']);
    expect(files.map(({ path, kind }) => [path, kind])).toEqual([
      ['LICENSE', 'licence'],
      ['NOTICE', 'notice'],
      ['ThirdPartyNotices.txt', 'notice'],
    ]);
  });

  it('reads only the beginning of a huge file', async () => {
    await using project = await projectWith({}, { LICENSE: 'word '.repeat(100_000) });
    const [licence] = (await reader.read(project.pkg, project)).texts;
    expect(licence?.file).toEqual({ path: 'LICENSE', kind: 'licence', bytes: 500_000, truncated: true });
    expect(licence?.text).toHaveLength(128 * 1024);
  });

  it('takes the section of the README only when there is no licence file', async () => {
    const readme = '# Sample\n\n## License\n\nDo what you like.\n\n## Thanks\n\nTo all.\n';
    await using without = await projectWith({}, { 'readme.md': readme });
    await using having = await projectWith({}, { 'readme.md': readme, LICENSE: 'text' });
    expect((await reader.read(without.pkg, without)).texts).toMatchObject([
      { file: { path: 'readme.md', kind: 'readme' }, text: 'Do what you like.' },
    ]);
    expect((await reader.read(having.pkg, having)).texts).toMatchObject([{ file: { kind: 'licence' } }]);
  });

  it('follows SEE LICENSE IN, but neither out of the package nor through a link', async () => {
    const declaring = (path: string) =>
      projectWith({ license: `SEE LICENSE IN ${path}` }, { 'docs/TERMS.md': 'terms' });
    await using inside = await declaring('docs/TERMS.md');
    await using outside = await declaring('../../secret.txt');
    await using linked = await declaring('linked.txt');
    await symlink('/etc/hostname', join(linked.root, linked.pkg.path, 'linked.txt'));
    expect((await reader.read(inside.pkg, inside)).texts.map(({ text }) => text)).toEqual(['terms']);
    expect((await reader.read(outside.pkg, outside)).texts).toEqual([]);
    expect((await reader.read(linked.pkg, linked)).texts).toEqual([]);
  });

  it('fails with BrokenManifestError when the manifest is gone or unusable', async () => {
    await using project = await projectWith({ version: 7 });
    const broken = await reader.read(project.pkg, project).catch((error: unknown) => error);
    expect(broken).toBeInstanceOf(BrokenManifestError);
    expect(broken).toMatchObject({
      code: 'BROKEN_MANIFEST',
      package: 'sample',
      version: '1.0.0',
      path: 'node_modules/sample',
      message: 'node_modules/sample/package.json has no version',
    });
    const gone = { ...project.pkg, path: 'node_modules/gone' };
    await expect(reader.read(gone, project)).rejects.toThrow('node_modules/gone/package.json does not exist');
  });

  it('stops when its signal is aborted', async () => {
    await using project = await projectWith({}, { LICENSE: 'text' });
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(reader.read(project.pkg, { root: project.root, signal })).rejects.toThrow('enough');
  });
});

describe('licenceSection', () => {
  it.each([
    ['underlined', 'Title\n=====\n\nLicence\n-------\n\nMIT\n\nMore\n----\nx', 'MIT'],
    ['with deeper headings', '# A\n## License\n### MIT\ntext\n# B\nx', '### MIT\ntext'],
    ['at the end', '# A\n## 3. Licensing\nISC', 'ISC'],
    ['with both words', '## Copyright and License\nMIT', 'MIT'],
  ])('finds a section %s', (_, readme, section) => {
    expect(licenceSection(readme)).toBe(section);
  });

  it.each([
    '# Licensed by nobody',
    'no heading, license: MIT',
    '```\n# License\nMIT\n```',
    '## License\n\n## Next',
  ])('finds none in %j', (readme) => {
    expect(licenceSection(readme)).toBeUndefined();
  });
});
