import deprecatedIds from 'spdx-license-ids/deprecated.json' with { type: 'json' };
import spdxIds from 'spdx-license-ids/index.json' with { type: 'json' };
import { LICENCE_CATALOGUE } from './licence-catalogue.js';
import { termsOfExpression } from './obligations.js';

describe('termsOfExpression', () => {
  it.each([
    ['MIT', 'permissive', ['include-licence', 'include-copyright']],
    ['0BSD', 'permissive', []],
    ['CC0-1.0', 'public-domain', []],
    ['UNLICENSED', 'proprietary', ['ask-permission']],
    ['LicenseRef-Acme', 'unknown', ['review-by-hand']],
    ['not an expression', 'unknown', ['review-by-hand']],
  ])('knows %s', (expression, category, obligations) => {
    expect(termsOfExpression(expression)).toEqual({ category, obligations });
  });

  it('takes the freest of alternatives', () => {
    expect(termsOfExpression('GPL-3.0-only OR MIT')).toEqual(termsOfExpression('MIT'));
    expect(termsOfExpression('MIT OR CC0-1.0').category).toBe('public-domain');
    expect(termsOfExpression('MIT OR LicenseRef-Acme').category).toBe('permissive');
  });

  it('unites licences that apply together, each obligation once, in a fixed order', () => {
    expect(termsOfExpression('Apache-2.0 AND MIT')).toEqual(termsOfExpression('MIT AND Apache-2.0'));
    expect(termsOfExpression('MPL-2.0 AND BSD-3-Clause')).toEqual({
      category: 'weak-copyleft',
      obligations: [
        'include-licence',
        'include-copyright',
        'state-changes',
        'no-endorsement',
        'disclose-changed-files',
      ],
    });
  });

  it('respects precedence and parentheses', () => {
    expect(termsOfExpression('MIT OR ISC AND GPL-2.0-only').category).toBe('permissive');
    expect(termsOfExpression('(MIT OR ISC) AND GPL-2.0-only').category).toBe('strong-copyleft');
  });

  it('lets a linking exception limit the reach of a strong copyleft', () => {
    const terms = termsOfExpression('GPL-2.0-only WITH Classpath-exception-2.0');
    expect(terms.category).toBe('weak-copyleft');
    expect(terms.obligations).not.toContain('same-licence');
    expect(termsOfExpression('Apache-2.0 WITH LLVM-exception')).toEqual(termsOfExpression('Apache-2.0'));
  });

  it.each(['GPL-3.0', 'GPL-3.0+', 'GPL-3.0-only', 'GPL-3.0-or-later', 'GFDL-1.3-no-invariants-or-later'])(
    'knows %s, however the versions are named',
    (expression) => {
      expect(termsOfExpression(expression).category).toBe('strong-copyleft');
    },
  );
});

describe('the catalogue', () => {
  const listed = LICENCE_CATALOGUE.flatMap(({ ids }) => ids);

  it('lists no licence twice', () => {
    expect(listed.filter((id, at) => listed.indexOf(id) !== at)).toEqual([]);
  });

  it('lists SPDX ids only', () => {
    const known = new Set<string>([...spdxIds, ...deprecatedIds, 'UNLICENSED']);
    expect(listed.filter((id) => !known.has(id))).toEqual([]);
  });
});
