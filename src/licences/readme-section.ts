/** Finds the section about the licence in a README. */

interface Heading {
  readonly level: number;
  readonly title: string;
  /** The line on which the section begins, after the heading. */
  readonly next: number;
  readonly line: number;
}

const LICENCE_TITLE = /^\W*(?:\d+[.)]\s*)?(?:copyright\s*(?:and|&)\s*)?(?:un)?licen[cs](?:e|es|ing)\b/i;

/** The text below the heading "License", up to the next heading of its level; undefined when there is none. */
export function licenceSection(readme: string): string | undefined {
  const lines = readme.split(/\r\n|\r|\n/);
  const headings = headingsOf(lines);
  const at = headings.findIndex(({ title }) => LICENCE_TITLE.test(title));
  const start = headings[at];
  if (start === undefined) return undefined;
  const end = headings.slice(at + 1).find(({ level }) => level <= start.level);
  const text = lines.slice(start.next, end?.line).join('\n').trim();
  return text === '' ? undefined : text;
}

/** The headings of a Markdown text, in both styles: `## License`, and `License` underlined. */
function headingsOf(lines: readonly string[]): Heading[] {
  const headings: Heading[] = [];
  let inCode = false;
  lines.forEach((text, line) => {
    if (/^\s*(?:```|~~~)/.test(text)) inCode = !inCode;
    if (inCode) return;
    const hashes = /^(#{1,6})\s*(.+?)\s*#*$/.exec(text);
    if (hashes)
      headings.push({ level: hashes[1]?.length ?? 1, title: hashes[2] ?? '', line, next: line + 1 });
    const underline = /^(?:(=)=+|--+)\s*$/.exec(lines[line + 1] ?? '');
    if (!hashes && underline && text.trim() !== '') {
      headings.push({ level: underline[1] ? 1 : 2, title: text, line, next: line + 2 });
    }
  });
  return headings;
}
