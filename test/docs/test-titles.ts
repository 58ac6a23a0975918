import ts from 'typescript';
import { read } from './workspace.js';

/** A test as its file writes it down. */
export interface WrittenTest {
  readonly title: string;
  /** It, or a block around it, is skipped, a todo, or expected to fail. */
  readonly idle: boolean;
}

const IDLE = new Set(['skip', 'todo', 'failing']);
const BLOCKS = new Set(['describe', 'xdescribe', 'fdescribe']);
const TESTS = new Set(['it', 'test', 'xit', 'xtest', 'fit']);

/** The tests of a spec, by their titles; of a table, also those titles that its rows of literals make. */
export function writtenTests(file: string): WrittenTest[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
  const found: WrittenTest[] = [];
  const visit = (node: ts.Node, idle: boolean): void => {
    const call = ts.isCallExpression(node) ? testCallOf(node) : undefined;
    if (call === undefined) return ts.forEachChild(node, (child) => visit(child, idle));
    const rests = idle || call.idle;
    if (call.isTest) found.push(...call.titles.map((title) => ({ title, idle: rests })));
    for (const argument of call.node.arguments) visit(argument, rests);
  };
  visit(source, false);
  return found;
}

function testCallOf(node: ts.CallExpression) {
  const words: string[] = [];
  let rows: ts.Expression | undefined;
  let at: ts.Expression = node.expression;
  if (ts.isCallExpression(at)) {
    rows = at.arguments[0];
    at = at.expression;
  }
  for (; ts.isPropertyAccessExpression(at); at = at.expression) words.push(at.name.text);
  if (!ts.isIdentifier(at) || !(BLOCKS.has(at.text) || TESTS.has(at.text))) return undefined;
  if (rows !== undefined && !words.includes('each')) return undefined;
  const [title] = node.arguments;
  if (title === undefined || !ts.isStringLiteralLike(title)) return undefined;
  const idle = at.text.startsWith('x') || words.some((word) => IDLE.has(word));
  return { node, isTest: TESTS.has(at.text), idle, titles: [title.text, ...titlesOf(title.text, rows)] };
}

/** `%s` is filled in from the rows of a table that stands in the call. */
function titlesOf(title: string, rows: ts.Expression | undefined): string[] {
  if (rows === undefined || !ts.isArrayLiteralExpression(rows)) return [];
  return rows.elements.flatMap((row) => {
    const cells = ts.isArrayLiteralExpression(row) ? [...row.elements] : [row];
    let isKnown = true;
    const made = title.replace(/%[sji]/g, () => {
      const cell = cells.shift();
      if (cell !== undefined && ts.isStringLiteralLike(cell)) return cell.text;
      isKnown = false;
      return '';
    });
    return isKnown ? [made] : [];
  });
}
