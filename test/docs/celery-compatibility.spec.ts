import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type NamedTest, problemsOf, testsIn } from './named-tests.js';
import { writtenTests } from './test-titles.js';
import { read, root } from './workspace.js';

const PAGE = 'docs/celery-compatibility.md';
/** What a row can say; the first three are claims, which need a test. */
const CLAIMS = ['same', 'better', 'differs'];
const OTHERS = ['not applicable', 'open'];
/** Rows of areas that other pages are about: hooks, retries, limits, revocation and states; acknowledging and lost workers. */
const ELSEWHERE = [
  { from: 124, to: 159 },
  { from: 183, to: 189 },
];
const LAST = 193;
/**
 * Rows in which Celery hangs, surprises or leaves something out: the same would not do. B065, the hooks of a body that never
 * ran, is not among them: hooks are for tasks that began.
 */
const DEFECTS =
  '7 18-22 25 31 35 36 38 39 41 42 44-47 51 52 55 56 59-61 63 64 68 70-72 74-80 86 88-90 92-98 101 102 105 111 113 116 ' +
  '119-121 163 167 170 173 174 179 181 191 192';

interface Row {
  readonly id: string;
  readonly verdict: string;
  readonly note: string;
  readonly tests: readonly NamedTest[];
}

const idOf = (number: number): string => `B${String(number).padStart(3, '0')}`;

function rowsOf(page: string): Row[] {
  return read(page)
    .split('\n')
    .filter((line) => /^\| B\d/.test(line))
    .map((line) => {
      const [id = '', , verdict = '', note = '', shown = ''] = line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim());
      return { id, verdict: verdict.replaceAll('*', ''), note, tests: testsIn(shown) };
    });
}

/** What is wrong with the tests of a row. */
function problemsOfRow({ id, tests }: Row): string[] {
  return tests.flatMap((test) => {
    if (!test.file.endsWith('.test-d.ts') || !existsSync(join(root, test.file))) return problemsOf(test);
    return read(test.file).includes(id) ? [] : [`${test.file} does not name ${id}`];
  });
}

describe(PAGE, () => {
  const rows = rowsOf(PAGE);

  it('has every row of its areas once, in order', () => {
    const expected = Array.from({ length: LAST }, (_, at) => at + 1)
      .filter((number) => ELSEWHERE.every(({ from, to }) => number < from || number > to))
      .map(idOf);
    expect(rows.map(({ id }) => id)).toEqual(expected);
  });

  it('says of each what it is; what claims something names a test, what does not says why', () => {
    const wrong = rows.filter(({ verdict, note, tests }) =>
      CLAIMS.includes(verdict)
        ? tests.length === 0
        : !OTHERS.includes(verdict) || note === '' || tests.length > 0,
    );
    expect(wrong).toEqual([]);
  });

  it('is better where Celery is broken', () => {
    const broken = new Set(
      DEFECTS.split(' ').flatMap((range) => {
        const [from = 0, to = from] = range.split('-').map(Number);
        return Array.from({ length: to - from + 1 }, (_, at) => idOf(from + at));
      }),
    );
    const worse = rows.filter(({ id, verdict }) => broken.has(id) && verdict !== 'better');
    expect(worse.map(({ id, verdict }) => `${id}: ${verdict}`)).toEqual([]);
  });

  it('names tests that are there, and that run', () => {
    expect(rows.flatMap((row) => problemsOfRow(row).map((problem) => `${row.id}: ${problem}`))).toEqual([]);
  });
});

describe('the tests of a file', () => {
  it('are found by their titles and by the rows of their tables, with those that do not run', () => {
    const titles = writtenTests('test/docs/test-titles.sample.ts').map(({ title, idle }) => [title, idle]);
    expect(titles).toEqual([
      ['plain', false],
      ['a %s', false],
      ['a cat', false],
      ['a dog', false],
      ['left out', true],
      ['inside', true],
      ['written down for later', true],
    ]);
  });
});
