/**
 * HTML that is safe by construction: the `html` tag escapes every value put into it, unless the value is
 * itself the result of the tag. Names and messages of packages come from strangers; nothing here can forget
 * to escape them.
 */

/** Markup that needs no more escaping. Only the `html` tag makes it. */
export class SafeHtml {
  constructor(private readonly markup: string) {}

  /** The markup as text. */
  toString(): string {
    return this.markup;
  }
}

/** What may stand in a template: text and numbers are escaped, lists are joined, undefined and false vanish. */
export type HtmlValue = string | number | SafeHtml | undefined | null | false | readonly HtmlValue[];

/** Builds markup from a template, escaping every value. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): SafeHtml {
  return new SafeHtml(
    parts.map((part, at) => part + (at < values.length ? render(values[at]) : '')).join(''),
  );
}

/** Escapes text for use in elements and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(UNSAFE, (character) => ENTITIES[character] ?? '\uFFFD');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** Beside the characters of the markup: control characters, and those that turn the direction of writing. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const UNSAFE = /[&<>"'`\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g;

function render(value: HtmlValue): string {
  if (value === undefined || value === null || value === false) return '';
  if (value instanceof SafeHtml) return value.toString();
  if (typeof value === 'object') return value.map(render).join('');
  return escapeHtml(String(value));
}
