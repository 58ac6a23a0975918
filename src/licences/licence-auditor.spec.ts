import { Test } from '@nestjs/testing';
import licences from 'spdx-license-list/full.js';
import { LicenceAuditor } from './licence-auditor.js';
import { LicenceAuditError, MissingLicenceTextError, UnidentifiedLicenceError } from './licence.errors.js';
import { LicencesModule } from './licences.module.js';
import { projectWith } from './temporary-project.fixture.js';

const spdxText = (id: string) => licences[id]?.licenseText ?? '';
const MIT = spdxText('MIT');

describe('LicenceAuditor', () => {
  let auditor: LicenceAuditor;

  beforeAll(async () => {
    const module = await Test.createTestingModule({ imports: [LicencesModule] }).compile();
    auditor = module.get(LicenceAuditor);
  });

  async function audit(manifest: object, files: Record<string, string>) {
    await using project = await projectWith(manifest, files);
    return await auditor.audit(project.pkg, { root: project.root });
  }

  const failureOf = (manifest: object, files: Record<string, string>) =>
    audit(manifest, files).then(
      () => undefined,
      (error: unknown) => error,
    );

  it('finds a package consistent whose text is that of the declared licence', async () => {
    const finding = await audit({ license: 'MIT' }, { LICENSE: MIT });
    expect(finding).toEqual({
      package: 'sample',
      version: '1.0.0',
      declared: 'MIT',
      identified: [{ id: 'MIT', confidence: 1, alternatives: [], file: 'LICENSE', weak: false }],
      verdict: 'consistent',
      category: 'permissive',
      obligations: ['include-licence', 'include-copyright'],
      notes: [],
      files: [{ path: 'LICENSE', kind: 'licence', bytes: MIT.length, truncated: false }],
    });
    expect(JSON.parse(JSON.stringify(finding))).toEqual(finding);
  });

  it.each([
    ['another licence', { license: 'MIT' }, { LICENSE: spdxText('Apache-2.0') }],
    ['a further licence', { license: 'MIT' }, { LICENSE: MIT, 'LICENSE.Apache': spdxText('Apache-2.0') }],
    ['a licence where none is granted', { license: 'UNLICENSED' }, { LICENSE: MIT }],
  ])('reports %s as a contradiction, not as a failure', async (_, manifest, files) => {
    const finding = await audit(manifest, files);
    expect(finding.verdict).toBe('contradiction');
    expect(finding.notes[0]).toMatch(/^The manifest/);
  });

  it('counts the terms of both sides of a contradiction', async () => {
    const finding = await audit({ license: 'MIT' }, { COPYING: spdxText('GPL-3.0-only') });
    expect(finding.category).toBe('strong-copyleft');
    expect(finding.notes).toEqual(['The manifest declares MIT, COPYING holds GPL-3.0-only.']);
  });

  it.each([
    ['one text of a choice', 'MIT OR Apache-2.0', { LICENSE: MIT }, []],
    ['one text of a union', 'MIT AND ISC', { LICENSE: MIT }, ['No text of the declared ISC was found.']],
    ['the same wording under another id', 'GPL-3.0-or-later', { COPYING: spdxText('GPL-3.0-only') }, []],
    ['an old id', 'GPL-2.0', { COPYING: spdxText('GPL-2.0-only') }, []],
  ])('accepts %s as consistent', async (_, license, files, notes) => {
    expect(await audit({ license }, files as Record<string, string>)).toMatchObject({
      verdict: 'consistent',
      notes,
    });
  });

  it.each([
    [{}, 'The manifest declares no licence.'],
    [{ license: 'ask Jane' }, 'The declaration "ask Jane" names no licence of the SPDX list.'],
  ])('calls a package with the manifest %j undeclared', async (manifest, note) => {
    const finding = await audit(manifest, { LICENSE: MIT });
    expect(finding).toMatchObject({ verdict: 'undeclared', category: 'permissive', notes: [note] });
  });

  it('accepts a declaration that points to the text', async () => {
    const finding = await audit({ license: 'SEE LICENSE IN terms.txt' }, { 'terms.txt': MIT });
    expect(finding).toMatchObject({ verdict: 'consistent', declared: 'SEE LICENSE IN terms.txt' });
  });

  it('marks a text that only the README gives as weak', async () => {
    const finding = await audit({ license: 'MIT' }, { 'README.md': `# Sample\n\n## License\n\n${MIT}` });
    expect(finding.identified).toMatchObject([{ id: 'MIT', file: 'README.md', weak: true }]);
    expect(finding.notes).toEqual(['There is no licence file; the text stands in README.md.']);
  });

  it.each([
    ['no file at all', {}],
    ['a README that only names the licence', { 'README.md': '# Sample\n\n## License\n\nMIT © Jane Doe' }],
    ['notices only', { 'THIRD-PARTY-NOTICES.txt': MIT }],
  ])('fails with MissingLicenceTextError on %s', async (_, files) => {
    const error = await failureOf({ license: 'MIT' }, files as Record<string, string>);
    expect(error).toBeInstanceOf(MissingLicenceTextError);
    expect(error).toBeInstanceOf(LicenceAuditError);
    expect(error).toMatchObject({
      name: 'MissingLicenceTextError',
      code: 'MISSING_LICENCE_TEXT',
      package: 'sample',
      version: '1.0.0',
      path: 'node_modules/sample',
      declared: 'MIT',
      message: expect.stringMatching(
        /^sample@1\.0\.0 declares MIT but node_modules\/sample holds no licence text/,
      ),
    });
  });

  it('fails with UnidentifiedLicenceError on a text of no known licence', async () => {
    const error = await failureOf(
      { license: 'MIT' },
      { 'LICENSE.txt': 'All rights belong to the moon. '.repeat(20) },
    );
    expect(error).toBeInstanceOf(UnidentifiedLicenceError);
    expect(error).toMatchObject({
      code: 'UNIDENTIFIED_LICENCE',
      package: 'sample',
      files: ['LICENSE.txt'],
      closest: null,
      message:
        'sample@1.0.0: LICENSE.txt in node_modules/sample matches no licence of the SPDX list; none comes near',
    });
  });

  it('mentions a second text that it does not know, and goes on', async () => {
    const finding = await audit(
      { license: 'MIT' },
      { LICENSE: MIT, 'LICENSE.moon': 'All rights belong to the moon.' },
    );
    expect(finding).toMatchObject({
      verdict: 'consistent',
      notes: ['LICENSE.moon matches no known licence.'],
    });
  });

  it('stops when its signal is aborted', async () => {
    await using project = await projectWith({ license: 'MIT' }, { LICENSE: MIT });
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(auditor.audit(project.pkg, { root: project.root, signal })).rejects.toThrow('enough');
  });
});
