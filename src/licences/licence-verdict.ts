/** Compares what a package declares with what its texts say. */
import type { DeclaredLicence } from './declared-licence.js';
import { combineTerms, licenceFamily, termsOfExpression } from './obligations.js';
import type { LicenceTerms } from './licence-catalogue.js';
import { isSatisfied, licencesIn, parseExpression } from './licence-expression.js';
import type { IdentifiedLicence, LicenceVerdict } from './licence-finding.js';

/** The outcome of the comparison. */
export interface Judgement extends LicenceTerms {
  verdict: LicenceVerdict;
  notes: string[];
}

/** Judges a package by its declaration and the licences found in it, of which there is at least one. */
export function judge(declared: DeclaredLicence, identified: readonly IdentifiedLicence[]): Judgement {
  const found = combineTerms(identified.map(({ id }) => termsOfExpression(id)));
  switch (declared.kind) {
    case 'none':
      return { verdict: 'undeclared', ...found, notes: ['The manifest declares no licence.'] };
    case 'unreadable':
      return { verdict: 'undeclared', ...found, notes: [] };
    case 'file':
      return judgeFile(declared, identified, found);
    case 'unlicensed':
      return {
        verdict: 'contradiction',
        ...combineTerms([termsOfExpression('UNLICENSED'), found]),
        notes: identified.map(({ id, file }) => `The manifest grants no licence, ${file} grants ${id}.`),
      };
    case 'spdx':
      return judgeExpression(declared.expression ?? '', identified, found);
  }
}

function judgeFile(
  { file, raw }: DeclaredLicence,
  identified: readonly IdentifiedLicence[],
  found: LicenceTerms,
): Judgement {
  const isThere = identified.some((licence) => licence.file === file);
  const notes = isThere ? [] : [`"${raw}" points to a file that is missing or unidentified.`];
  return { verdict: isThere ? 'consistent' : 'undeclared', ...found, notes };
}

function judgeExpression(
  expression: string,
  identified: readonly IdentifiedLicence[],
  found: LicenceTerms,
): Judgement {
  const tree = parseExpression(expression);
  if (tree === undefined) return { verdict: 'undeclared', ...found, notes: [] };
  const named = licencesIn(tree);
  const foreign = identified.filter((licence) => !named.some((id) => mayBe(licence, id)));
  if (foreign.length > 0) {
    return {
      verdict: 'contradiction',
      ...combineTerms([termsOfExpression(expression), found]),
      notes: foreign.map(({ id, file }) => `The manifest declares ${expression}, ${file} holds ${id}.`),
    };
  }
  const isFound = (id: string) => identified.some((licence) => mayBe(licence, id));
  const missing = isSatisfied(tree, isFound) ? [] : named.filter((id) => !isFound(id));
  return {
    verdict: 'consistent',
    ...termsOfExpression(expression),
    notes: missing.map((id) => `No text of the declared ${id} was found.`),
  };
}

/** Whether the words of an identified licence may be those of the given one. */
function mayBe({ id, alternatives }: IdentifiedLicence, other: string): boolean {
  return [id, ...alternatives.map((alternative) => alternative.id)].some(
    (possible) => licenceFamily(possible) === licenceFamily(other),
  );
}
