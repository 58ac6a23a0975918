/** The guide against the sources: its tables name what there is, with the defaults that hold. */
import { join } from 'node:path';
import ts from 'typescript';
import { proseOf, read, root } from './workspace.js';

const library = 'libs/task-queue/src';
const moduleOptions = `${library}/options/task-queue-options.ts`;

/** What this spec needs of the library beyond its public names. */
interface Internals {
  readonly resolveOptions: (
    options: object,
    env: object,
  ) => { readonly [option: string]: unknown } & {
    readonly queues: ReadonlyMap<string, Record<string, unknown>>;
  };
  readonly toMilliseconds: (duration: string) => number;
  readonly TASK_STATES: readonly string[];
}

function internal<Name extends keyof Internals>(file: string, name: Name): Internals[Name] {
  return jest.requireActual<Pick<Internals, Name>>(join(root, library, file))[name];
}

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
}

/** The properties of an interface with their types as they are written. */
function propertiesOf(file: string, name: string): Map<string, string> {
  const found = parse(file).statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  if (found === undefined) throw new Error(`${file} has no interface ${name}`);
  return new Map(
    found.members
      .filter(ts.isPropertySignature)
      .map((member) => [member.name.getText(), member.type?.getText() ?? '']),
  );
}

/** What a user may call or read on an instance of a class. */
function membersOf(file: string, name: string): string[] {
  const found = parse(file).statements.find(
    (statement): statement is ts.ClassDeclaration =>
      ts.isClassDeclaration(statement) && statement.name?.text === name,
  );
  if (found === undefined) throw new Error(`${file} has no class ${name}`);
  const parameters = found.members
    .filter(ts.isConstructorDeclaration)
    .flatMap((made) => [...made.parameters]);
  return [...found.members, ...parameters].flatMap((member) => {
    const hidden = ts.SyntaxKind.ProtectedKeyword;
    const modifiers = ts.canHaveModifiers(member) ? (ts.getModifiers(member) ?? []) : [];
    if (member.name === undefined || modifiers.some(({ kind }) => kind === hidden)) return [];
    return [member.name.getText()];
  });
}

/** The texts of a union of string literals. */
function literalsOf(file: string, name: string): string[] {
  const found = parse(file).statements.find(
    (statement): statement is ts.TypeAliasDeclaration =>
      ts.isTypeAliasDeclaration(statement) && statement.name.text === name,
  );
  if (found === undefined || !ts.isUnionTypeNode(found.type)) throw new Error(`${file} has no union ${name}`);
  return found.type.types.map((type) => type.getText().replaceAll("'", ''));
}

/** The rows of the first table below a heading, each a list of cells, without the head of the table. */
function tableBelow(file: string, heading: string, nth = 0): string[][] {
  const section = proseOf(file)
    .split(/^## /m)
    .find((text) => text.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`${file} has no heading "${heading}"`);
  const tables = [...section.matchAll(/(?:^\|.*\|\n)+/gm)].map(([text]) => text);
  return (tables[nth] ?? '')
    .trim()
    .split('\n')
    .slice(2)
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const codeIn = (cell = ''): string => /`([^`]*)`/.exec(cell)?.[1] ?? '';
const firstColumn = (rows: readonly string[][]): string[] => rows.map(([cell]) => codeIn(cell));
/** `get(options)` is the member `get`. */
const memberIn = (code: string): string => code.replace(/\(.*\)$/, '');

/** Every option of forRoot, under its path. */
function optionPaths(): string[] {
  return [...propertiesOf(moduleOptions, 'TaskQueueModuleOptions')].flatMap(([option, type]) => {
    const inQueue = /Record<string, (\w+)>/.exec(type)?.[1];
    if (inQueue !== undefined) {
      return [option, ...propertiesOf(moduleOptions, inQueue).keys()].map((key) =>
        key === option ? key : `${option}.<name>.${key}`,
      );
    }
    const inside = [
      'TaskDefaults',
      'ChordDefaults',
      'DeadLetterOptions',
      'PayloadLimits',
      'LoggingOptions',
      'WorkerTuning',
    ].find((name) => name === type);
    return inside === undefined
      ? [option]
      : [...propertiesOf(moduleOptions, inside).keys()].map((key) => `${option}.${key}`);
  });
}

/** What an option is when nobody gives it; durations in milliseconds. */
function defaultOf(path: string): unknown {
  const resolve = internal('options/resolve-options', 'resolveOptions');
  const resolved = resolve({ connection: { url: 'redis://localhost' } }, {});
  const start: unknown = path.startsWith('queues.') ? resolved.queues.get('default') : resolved;
  return path
    .replace('queues.<name>.', '')
    .split('.')
    .reduce<unknown>((at, key) => {
      const fields = at as Record<string, unknown>;
      return key in fields ? fields[key] : fields[`${key}Ms`];
    }, start);
}

/** What a cell says, in the form in which the resolved options hold it. */
function documented(cell: string): unknown {
  const code = codeIn(cell);
  if (cell === 'no limit' || cell === 'no codec' || cell === "in the worker's process") return undefined;
  if (cell === 'none') return [];
  if (/^\d+$/.test(code)) return Number(code);
  if (code === 'true' || code === 'false') return code === 'true';
  const text = /^'(.*)'$/.exec(code)?.[1] ?? code;
  return /^\d/.test(text) ? internal('primitives/duration', 'toMilliseconds')(text) : text;
}

describe('docs/getting-started.md', () => {
  const rows = tableBelow('docs/getting-started.md', 'Options of `forRoot`');

  it('names every option of forRoot, and no other', () => {
    expect(firstColumn(rows).sort()).toEqual(optionPaths().sort());
  });

  const elsewhere = ['connection', 'queues', 'queues.<name>.resultExpires', 'queues.<name>.pool', 'redact'];
  it.each(rows.filter(([option]) => !elsewhere.includes(codeIn(option))))(
    'gives the default of %s',
    (option, _meaning, _unit, cell = '') => {
      const found = defaultOf(codeIn(option));
      expect(documented(cell)).toEqual(typeof found === 'function' ? found.name : found);
    },
  );

  it('says what queues there are by default, and how long their results stay', () => {
    const resolve = internal('options/resolve-options', 'resolveOptions');
    const { queues } = resolve({ defaults: { resultExpires: 1_234 } }, { REDIS_URL: 'redis://localhost' });
    expect([...queues]).toEqual([['default', { concurrency: 10, resultExpiresMs: 1_234 }]]);
    const cells = new Map(rows.map(([option, , , cell]) => [codeIn(option), codeIn(cell)]));
    expect(cells.get('connection')).toBe('REDIS_URL');
    expect(cells.get('queues')).toBe('{ default: {} }');
    expect(cells.get('redact')).toBe('REDACTED_KEYS'); // test/unit/testing/logs.spec.ts
    expect(cells.get('queues.<name>.resultExpires')).toBe('defaults.resultExpires');
  });

  it('names every option of a process pool, and no other', () => {
    const options = propertiesOf(`${library}/options/pool-options.ts`, 'ProcessPoolOptions');
    expect(firstColumn(tableBelow('docs/process-pool.md', 'Options')).sort()).toEqual(
      [...options.keys()].sort(),
    );
  });

  it('names every option of forRootAsync, and no other', () => {
    const options = propertiesOf(moduleOptions, 'TaskQueueModuleAsyncOptions');
    expect(firstColumn(tableBelow('docs/getting-started.md', '`forRootAsync`')).sort()).toEqual(
      [...options.keys()].sort(),
    );
  });

  it('names the peers and their versions', () => {
    const { peerDependencies } = JSON.parse(read('libs/task-queue/package.json')) as {
      peerDependencies: Record<string, string>;
    };
    const text = read('docs/getting-started.md').replaceAll('\n', ' ');
    const missing = Object.entries(peerDependencies).filter(
      ([name, version]) => !text.includes(`\`${name}\` \`${version}\``),
    );
    expect(missing).toEqual([]);
  });
});

describe('docs/internals.md', () => {
  it('names every kind of key that there is in Redis', () => {
    const keys = read('libs/task-queue/src/broker/redis-keys.ts').matchAll(/:(_[a-z]+)/g);
    const kinds = new Set(Array.from(keys, ([, kind = '']) => kind));
    const text = read('docs/internals.md');
    expect([...kinds].filter((kind) => !text.includes(`\`{tq:0}:${kind}`))).toEqual([]);
    expect(kinds.size).toBeGreaterThan(10);
  });
});

describe('docs/tasks.md', () => {
  it.each([
    ['Options of `@Task`', `${library}/task/task-options.ts`, 'TaskOptions'],
    ['Retries', `${library}/retry/retry-policy.ts`, 'RetryOptions'],
    ['Options of a call', `${library}/canvas/call-options.ts`, 'ApplyOptions'],
  ])('names under "%s" every option that there is, and no other', (heading, file, name) => {
    const options = propertiesOf(file, name);
    expect(firstColumn(tableBelow('docs/tasks.md', heading)).sort()).toEqual([...options.keys()].sort());
  });

  it('names no member of TaskContext that does not exist', () => {
    const named = firstColumn(tableBelow('docs/tasks.md', '`TaskContext`')).map(memberIn);
    expect(named.length).toBeGreaterThan(10);
    expect(membersOf(`${library}/task/task-context.ts`, 'TaskContext')).toEqual(
      expect.arrayContaining(named),
    );
  });
});

describe('docs/results.md', () => {
  it('lists the states', () => {
    expect(firstColumn(tableBelow('docs/results.md', 'States'))).toEqual(
      internal('task/task-state', 'TASK_STATES'),
    );
  });

  it('names every option of get(), and no other', () => {
    const options = propertiesOf(`${library}/results/async-result.ts`, 'GetOptions');
    expect(firstColumn(tableBelow('docs/results.md', '`get()`')).sort()).toEqual([...options.keys()].sort());
  });

  it.each([
    ['AsyncResult', 'async-result.ts'],
    ['GroupResult', 'group-result.ts'],
  ])('names no member of %s that does not exist', (name, file) => {
    const named = firstColumn(tableBelow('docs/results.md', `\`${name}\``)).map(memberIn);
    expect(named.length).toBeGreaterThan(5);
    const inherited = membersOf(`${library}/results/async-result.ts`, 'AsyncResult');
    expect([...inherited, ...membersOf(`${library}/results/${file}`, name)]).toEqual(
      expect.arrayContaining(named),
    );
  });
});

describe('docs/failures.md', () => {
  const file = `${library}/failure/task-failure.ts`;

  it('lists the reasons', () => {
    expect(firstColumn(tableBelow('docs/failures.md', 'Reasons')).sort()).toEqual(
      literalsOf(file, 'FailureReason').sort(),
    );
  });

  it('lists the fields of a TaskFailure, of its request and of its error', () => {
    const rows = tableBelow('docs/failures.md', 'The record of a failure');
    expect(firstColumn(rows).sort()).toEqual([...propertiesOf(file, 'TaskFailure').keys()].sort());
    const meaning = new Map(rows.map(([field, text = '']) => [codeIn(field), text]));
    for (const [field, name] of [
      ['request', 'FailedRequest'],
      ['error', 'SerializedError'],
    ] as const) {
      const codes = [...(meaning.get(field) ?? '').matchAll(/`(\w+)`/g)].map(([, code = '']) => code);
      expect(codes.sort()).toEqual([...propertiesOf(file, name).keys()].sort());
    }
  });
});

describe('the guide', () => {
  it('has pages that can be read in one go', () => {
    const guide =
      'getting-started tasks canvases dynamic-canvases chord-recovery connections results failures internals'.split(
        ' ',
      );
    const long = guide.filter((name) => read(`docs/${name}.md`).split('\n').length > 251);
    expect(long).toEqual([]);
  });
});

describe('docs/health.md', () => {
  const file = `${library}/health/health-options.ts`;
  const text = read('docs/health.md');
  const codes = new Set([...text.matchAll(/[A-Za-z]+(?=[`:(])/g)].map(([code]) => code));

  it.each([
    'HealthOptions',
    'BrokerHealthOptions',
    'WorkersHealthOptions',
    'QueueLimits',
    'QueuesHealthOptions',
    'FailuresHealthOptions',
    'CanvasesHealthOptions',
  ])('names every option of %s', (name) => {
    expect([...propertiesOf(file, name).keys()].filter((option) => !codes.has(option))).toEqual([]);
  });

  it('names every method of TaskQueueHealth and of the indicator', () => {
    const hooks = ['onModuleInit', 'onApplicationShutdown', 'registrations', 'options', 'health'];
    const members = [
      ...membersOf(`${library}/health/task-queue-health.ts`, 'TaskQueueHealth'),
      ...membersOf(`${library}/health/task-queue-health.indicator.ts`, 'TaskQueueHealthIndicator'),
    ].filter((member) => !member.startsWith('#') && !hooks.includes(member));
    expect(members.filter((member) => !codes.has(member))).toEqual([]);
  });
});
