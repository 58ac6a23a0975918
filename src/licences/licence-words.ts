/**
 * Reduces a licence text to the words in which two copies of one licence agree.
 *
 * Copies differ in case, line breaks, punctuation, list bullets, comment markers, Markdown and in whom the
 * copyright line names. None of that changes the licence, so none of it is kept. The idea follows the
 * matching guidelines of the SPDX project.
 */

/** Words that the SPDX guidelines call equivalent, spelled in one way. */
const EQUIVALENT_WORDS: Readonly<Record<string, string>> = {
  licence: 'license',
  licences: 'licenses',
  licenced: 'licensed',
  sublicence: 'sublicense',
  organisation: 'organization',
  favour: 'favor',
  https: 'http',
};

/** A copyright statement is a short line; a long one is a paragraph that merely begins like one. */
const LONGEST_COPYRIGHT_LINE = 250;

const COPYRIGHT_STATEMENTS: readonly RegExp[] = [
  // "Copyright (c) 2024 Jane Doe", "Portions copyright <year> <owner>"
  /^\W*(?:portions\s+)?copyright\b.*(?:\d{4}|\(c\)|©|[<[{])/i,
  // "© 2024 Jane Doe", but not the list item "(c) You must retain …"
  /^\W*(?:\(c\)|©).*\b(?:19|20)\d{2}\b/i,
  // "Copyright Jane Doe", but not "Copyright Notice" nor the "COPYRIGHT HOLDERS" of a disclaimer
  /^\W*Copyright\s+(?!Notice|Holder|Owner|License|Law)[A-Z][^A-Z]/,
];

/** The words of a licence text, in order, without anything that differs between copies of one licence. */
export function licenceWords(text: string): string[] {
  const plain = text
    .split(/\r\n|\r|\n/)
    .filter((line) => !isCopyrightStatement(line))
    .map(withoutBullet)
    .join('\n')
    .replace(/<\/?[a-z][^<>]{0,200}>/gi, ' ') // HTML tags and <templates>
    .replace(/\[([^[\]]*)\]\([^()]*\)/g, '$1') // Markdown links
    .replace(/(\w)['’](\w)/g, '$1$2')
    .toLowerCase()
    .replace(/\ball rights reserved\b/g, ' ');
  const words = plain.match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.map((word) => EQUIVALENT_WORDS[word] ?? word);
}

function isCopyrightStatement(line: string): boolean {
  return line.length <= LONGEST_COPYRIGHT_LINE && COPYRIGHT_STATEMENTS.some((pattern) => pattern.test(line));
}

/** Drops "1.", "(a)", "iv." and their kind from the start of a line; plain signs vanish with the punctuation. */
function withoutBullet(line: string): string {
  return line.replace(/^[\s>#*/;-]*\(?(?:\d{1,2}(?:\.\d{1,2})*|[a-z]|[ivx]{1,4})[.)]\s+/i, ' ');
}
