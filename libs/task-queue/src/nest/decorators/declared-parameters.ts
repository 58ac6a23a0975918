/** What the source of a function says about its parameters. */
export interface DeclaredParameters {
  readonly count: number;
  /** Whether the last one is a rest parameter. */
  readonly rest: boolean;
  /** The name of the last one; a pattern has none. */
  readonly lastName: string | undefined;
  /** Whether this is the method as it was written, rather than a wrapper that some decorator put around it. */
  readonly original: boolean;
}

const FUNCTION_OR_ARROW = /^(async\s*)?(function\b|\(|[\w$]+\s*=>)/;
const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/**
 * Reads how many parameters a function declares. `length` alone does not tell: it stops at the first default
 * value and leaves out rest parameters, which no metadata of the compiler shows either.
 *
 * @returns undefined when the source cannot be read, as that of a native function
 */
export function declaredParameters(fn: (...args: never[]) => unknown): DeclaredParameters | undefined {
  const source = Function.prototype.toString.call(fn);
  const original = !FUNCTION_OR_ARROW.test(source);
  const stack: string[] = [];
  let inside = false;
  let count = 0;
  let rest = false;
  let started = false;
  let begin = 0;
  for (let at = 0; at < source.length; at++) {
    at = skipTextAndComments(source, at);
    const char = source[at] ?? '';
    if (inside && stack.length === 1) {
      if (char === ')' || char === ',') {
        if (started) count++;
        if (char === ')')
          return { count, rest, lastName: count > 0 ? nameAt(source, begin) : undefined, original };
        started = false;
        continue;
      }
      if (!started && char.trim() !== '') {
        started = true;
        begin = at;
        rest = source.startsWith('...', at);
      }
    }
    if (char === '(' && stack.length === 0) inside = true;
    if (char in CLOSING) stack.push(CLOSING[char] ?? '');
    else if (char === stack.at(-1)) stack.pop();
    if (!inside && source.startsWith('=>', at))
      return { count: 1, rest: false, lastName: nameAt(source, 0), original };
  }
  return undefined;
}

function nameAt(source: string, begin: number): string | undefined {
  return /^[\w$]+/.exec(source.slice(begin, begin + 100))?.[0];
}

/** The last index of the string or comment that begins here, or the next character that is in neither. */
function skipTextAndComments(source: string, start: number): number {
  let at = start;
  for (;;) {
    const ends = source.startsWith('/*', at) ? '*/' : source.startsWith('//', at) ? '\n' : undefined;
    if (ends === undefined) break;
    const end = source.indexOf(ends, at + 2);
    if (end < 0) return source.length;
    at = end + ends.length;
  }
  const quote = source[at];
  if (quote !== "'" && quote !== '"' && quote !== '`') return at;
  for (at++; at < source.length && source[at] !== quote; at++) if (source[at] === '\\') at++;
  return at;
}
