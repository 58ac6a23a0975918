import { performance } from 'node:perf_hooks';
import { join } from 'node:path';
import ts from 'typescript';

/**
 * What a written-out header costs the compiler. Its work is counted, because counts are the same on every machine: types
 * made for one member may not depend on how many others there are.
 */
const ROOT = join(__dirname, '../../..');
const FOLDER = join(ROOT, 'test/types');
const WIDTHS = [2, 100, 200] as const;
/** What checking one more member may instantiate; measured: 22. */
const PER_MEMBER = 60;

jest.setTimeout(300_000);

describe('a header that is written out', () => {
  let cost: ReadonlyMap<number, Cost>;
  beforeAll(() => {
    cost = costOf(WIDTHS);
  });

  it('of 200 members keeps the type of each, and compiles', () => {
    for (const width of WIDTHS) expect(cost.get(width)?.errors).toEqual([]);
  });

  it('of 200 members costs the compiler so much for each and no more, with 100 or 200 of them', () => {
    const [, half, whole] = WIDTHS.map((width) => cost.get(width)?.instantiations ?? NaN) as [
      number,
      number,
      number,
    ];
    const seconds = cost.get(200)?.seconds;
    // Quadratic work would make the second hundred three times as dear as the first.
    expect({ seconds, isLinear: whole < 2.5 * half, isCheap: whole < 200 * PER_MEMBER }).toEqual({
      seconds,
      isLinear: true,
      isCheap: true,
    });
  });
});

interface Cost {
  readonly instantiations: number;
  readonly seconds: number;
  readonly errors: readonly string[];
}

/** Checks one file after the other in one program: the first pays for everything that they share. */
function costOf(widths: readonly number[]): Map<number, Cost> {
  const files = new Map(widths.map((width) => [join(FOLDER, `header-of-${width}.ts`), sourceOf(width)]));
  const program = programOf(files);
  return new Map(
    [...files.keys()].map((path, at): [number, Cost] => {
      const before = program.getInstantiationCount();
      const start = performance.now();
      const errors = program
        .getSemanticDiagnostics(program.getSourceFile(path))
        .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
      const seconds = (performance.now() - start) / 1_000;
      const instantiations = program.getInstantiationCount() - before;
      return [widths[at] as number, { instantiations, seconds, errors }];
    }),
  );
}

/** A group and a chord of so many calls, of which every other one returns a number, and a body that takes just these. */
function sourceOf(width: number): string {
  const indexes = Array.from({ length: width }, (_, index) => index);
  const members = indexes
    .map((at) => (at % 2 === 0 ? `math.text.s(${at})` : `math.double.s(${at})`))
    .join(', ');
  const values: string[] = indexes.map((at) => (at % 2 === 0 ? 'string' : 'number'));
  return `
    import type { Chord, Group } from 'nestjs-task-queue';
    import { MathTasks } from './fixtures.js';
    import { assertType, chord, type Equal, group, tasks } from './support.js';

    const math = tasks(MathTasks);
    declare class Bodies {
      fits(values: [${values.join(', ')}]): boolean;
      differs(values: [${values.with(-1, 'boolean').join(', ')}]): boolean;
    }
    const bodies = tasks(Bodies);
    const all = group([${members}]);
    assertType<Equal<typeof all, Group<[], [${values.join(', ')}]>>>();
    const report = chord([${members}], bodies.fits.s());
    assertType<Equal<typeof report, Chord<[], boolean>>>();
    // @ts-expect-error the last value is no boolean
    chord(all, bodies.differs.s());
  `;
}

function programOf(files: ReadonlyMap<string, string>): ts.Program {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, ROOT);
  const host = ts.createCompilerHost(options);
  const fileExists = host.fileExists.bind(host);
  const readFile = host.readFile.bind(host);
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.readFile = (path) => files.get(path) ?? readFile(path);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (path, target, ...more) => {
    const text = files.get(path);
    return text === undefined
      ? getSourceFile(path, target, ...more)
      : ts.createSourceFile(path, text, target, true);
  };
  return ts.createProgram([...files.keys()], { ...options, noEmit: true }, host);
}
