/** Works out what a licence, or an expression of several, asks of those who use the package. */
import {
  CATEGORIES,
  type LicenceCategory,
  type LicenceTerms,
  LICENCE_CATALOGUE,
  LINKING_EXCEPTIONS,
  OBLIGATIONS,
  type Obligation,
} from './licence-catalogue.js';
import { foldExpression, type LicenceNode, parseExpression } from './licence-expression.js';

const UNKNOWN_TERMS: LicenceTerms = { category: 'unknown', obligations: ['review-by-hand'] };

const TERMS_BY_ID: ReadonlyMap<string, LicenceTerms> = new Map(
  LICENCE_CATALOGUE.flatMap(({ ids, category, obligations }) =>
    ids.map((id) => [id, { category, obligations }]),
  ),
);

/** The id of a licence without the part that only says which later versions are allowed too. */
export function licenceFamily(id: string): string {
  return id.replace(/(?:-only|-or-later|\+)$/, '').replace(/^(GFDL-\d\.\d)-(?:no-)?invariants$/, '$1');
}

/** The terms of one SPDX id; `unknown` when the catalogue does not list it. */
export function termsOfLicence(id: string): LicenceTerms {
  return TERMS_BY_ID.get(licenceFamily(id)) ?? UNKNOWN_TERMS;
}

/**
 * The terms of an SPDX expression: of alternatives (OR) the freest, of licences that apply together (AND) the
 * union, and with a linking exception (WITH) those of the licence without its reach into the linking work.
 */
export function termsOfExpression(expression: string): LicenceTerms {
  const node = expression === 'UNLICENSED' ? { license: expression } : parseExpression(expression);
  if (node === undefined) return UNKNOWN_TERMS;
  return foldExpression(node, termsOfNode, (conjunction, left, right) =>
    conjunction === 'and' ? combineTerms([left, right]) : freest(left, right),
  );
}

/** The terms of licences that apply together: the strictest category, every obligation once. */
export function combineTerms(all: readonly LicenceTerms[]): LicenceTerms {
  const strictest = all.reduce<LicenceCategory>(
    (category, terms) => (rank(terms.category) > rank(category) ? terms.category : category),
    'public-domain',
  );
  const asked = new Set(all.flatMap(({ obligations }) => obligations));
  return { category: strictest, obligations: ALL_OBLIGATIONS.filter((obligation) => asked.has(obligation)) };
}

const ALL_OBLIGATIONS = Object.keys(OBLIGATIONS) as Obligation[];

function termsOfNode({ license, exception }: LicenceNode): LicenceTerms {
  const terms = termsOfLicence(license);
  const staysOutside = exception !== undefined && LINKING_EXCEPTIONS.includes(exception);
  if (!staysOutside || terms.category !== 'strong-copyleft') return terms;
  const reaching: readonly Obligation[] = ['disclose-source', 'same-licence', 'network-use-is-distribution'];
  const kept = terms.obligations.filter((obligation) => !reaching.includes(obligation));
  return { category: 'weak-copyleft', obligations: [...kept, 'disclose-library'] };
}

function freest(left: LicenceTerms, right: LicenceTerms): LicenceTerms {
  const difference =
    rank(left.category) - rank(right.category) || left.obligations.length - right.obligations.length;
  return difference <= 0 ? left : right;
}

function rank(category: LicenceCategory): number {
  return CATEGORIES.indexOf(category);
}
