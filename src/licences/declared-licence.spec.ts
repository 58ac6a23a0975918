import { readDeclaration } from './declared-licence.js';

describe('readDeclaration', () => {
  it.each([
    ['MIT', 'MIT'],
    ['(MIT OR Apache-2.0) AND BSD-3-Clause', '(MIT OR Apache-2.0) AND BSD-3-Clause'],
    [' MIT ', 'MIT'],
    ['Apache 2.0', 'Apache-2.0'],
    [{ type: 'ISC', url: 'https://example.test/licence' }, 'ISC'],
    [[{ type: 'MIT' }], 'MIT'],
    [[{ type: 'MIT' }, { type: 'Apache 2' }, 'BSD-2-Clause'], '(MIT) OR (Apache-2.0) OR (BSD-2-Clause)'],
  ])('reads %j as %s', (license, expression) => {
    expect(readDeclaration({ license })).toMatchObject({ kind: 'spdx', expression });
  });

  it('falls back to the old "licenses" field and says so', () => {
    expect(readDeclaration({ licenses: [{ type: 'MIT' }] })).toMatchObject({
      expression: 'MIT',
      notes: [expect.stringContaining('"licenses" list')],
    });
  });

  it('says how it corrected a declaration', () => {
    expect(readDeclaration({ license: 'Apache 2.0' }).notes).toEqual([
      '"Apache 2.0" is not an SPDX expression; read as Apache-2.0.',
    ]);
  });

  it.each([undefined, null, ''])('finds nothing declared in %p', (license) => {
    expect(readDeclaration({ license })).toMatchObject({ kind: 'none', raw: null });
  });

  it.each(['see the web site', 42, { url: 'https://example.test' }, []])('cannot read %j', (license) => {
    expect(readDeclaration({ license })).toMatchObject({ kind: 'unreadable', expression: null });
  });

  it('recognises a grant of nothing and a pointer to a file', () => {
    expect(readDeclaration({ license: 'UNLICENSED' })).toMatchObject({ kind: 'unlicensed' });
    expect(readDeclaration({ license: 'SEE LICENSE IN <docs/TERMS.md>' })).toMatchObject({
      kind: 'file',
      file: 'docs/TERMS.md',
    });
  });
});
