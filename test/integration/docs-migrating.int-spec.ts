/** docs/migrating-from-nestjs-bullmq.md, run: the code of the page itself, before, meanwhile and after. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BullModule, getQueueToken } from '@nestjs/bullmq';
import type { ModuleMetadata, Type } from '@nestjs/common';
import type { Job, Queue } from 'bullmq';
import { redisUrl, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';

const WITHIN_MS = 30_000;
const fixture = useApps();
const root = join(__dirname, '../..');
const page = readFileSync(join(root, 'docs/migrating-from-nestjs-bullmq.md'), 'utf8');
const cache = join(root, '.cache');
mkdirSync(cache, { recursive: true });

interface Letter {
  readonly to: string;
  readonly pages: number;
}
interface Sender {
  send(letter: Letter): Promise<string>;
  sendLater(letter: Letter, delay: number): Promise<string>;
  sendAll(letters: readonly Letter[]): Promise<string>;
}
type Provider = NonNullable<ModuleMetadata['providers']>[number];

/** What a block of the page exports, as a module of this project. */
function run<Exports extends object>(name: string): Exports {
  const [, block] = new RegExp(`\`\`\`ts\\n(// checked, run as: ${name}\\n[^]*?)\`\`\``).exec(page) ?? [];
  if (block === undefined) throw new Error(`the page has no code "${name}"`);
  // Below the project: its packages are found from there.
  const folder = mkdtempSync(join(cache, 'migrating-'));
  try {
    const file = join(folder, `${name}.ts`);
    writeFileSync(file, block);
    return jest.requireActual<Exports>(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Shared {
  readonly Printer: Type;
  readonly Alarm: Type;
  readonly Letters: Type<Sender>;
}
const before = run<Shared & { LettersProcessor: Type }>('before');
const after = run<Shared & { LetterTasks: Type }>('after');
const meanwhile = run<{ HandingOver: Type; isDrained: (queue: Queue) => Promise<boolean> }>('meanwhile');

/** Prints; the first time for the impatient fails. */
class Print {
  readonly printed: string[] = [];
  readonly alarms: string[] = [];
  readonly #seen = new Set<string>();

  async print({ to, pages }: Letter): Promise<string> {
    if (to === 'nobody') throw new Error('no such address');
    if (to === 'impatient' && !this.#seen.has(to)) {
      this.#seen.add(to);
      throw new Error('paper jam');
    }
    this.printed.push(to);
    return `${to}: ${pages}`;
  }

  ring(to: string, message: string): void {
    this.alarms.push(`${to}: ${message}`);
  }
}

const given = (print: Print, ...blocks: Shared[]): Provider[] =>
  blocks.flatMap(({ Printer, Alarm }) => [
    { provide: Printer, useValue: print },
    { provide: Alarm, useValue: print },
  ]);

const bull = (prefix: string): ModuleMetadata['imports'] => [
  BullModule.forRoot({ connection: { url: redisUrl(), connectionName: prefix }, prefix }),
  BullModule.registerQueue({ name: 'letters' }),
  BullModule.registerFlowProducer({ name: 'letters' }),
];

const queueOf = (app: TestApp): Queue => app.app.get<Queue>(getQueueToken('letters'));

/** What both have to come to. */
interface Outcome {
  readonly value: unknown;
  readonly retries: number;
  readonly progress: unknown;
}

const LETTERS = { plain: { to: 'plain', pages: 2 }, impatient: { to: 'impatient', pages: 3 } };

/** Sends letters of every kind, and tells what became of them. */
async function send(
  sender: Sender,
  print: Print,
  outcomeOf: (id: string) => Promise<Outcome | string>,
): Promise<object> {
  const sent = [
    await sender.send(LETTERS.plain),
    await sender.send(LETTERS.impatient),
    await sender.send({ to: 'empty', pages: 0 }),
    await sender.sendLater({ to: 'later', pages: 1 }, 300),
  ];
  const bundle = await sender.sendAll([
    { to: 'b', pages: 1 },
    { to: 'a', pages: 2 },
  ]);
  const broken = await sender.sendAll([
    { to: 'c', pages: 1 },
    { to: 'empty again', pages: 0 },
  ]);
  const singles = await Promise.all(sent.map(outcomeOf));
  const { value } = (await outcomeOf(bundle)) as Outcome;
  await until(() => print.alarms.length === 2, 'both alarms have rung', WITHIN_MS);
  return {
    singles,
    bundle: value,
    broken: typeof (await outcomeOf(broken)),
    printed: print.printed.sort(),
    alarms: print.alarms.sort(),
  };
}

const EXPECTED = {
  singles: [
    { value: 'plain: 2', retries: 0, progress: { page: 1, of: 2 } },
    { value: 'impatient: 3', retries: 1, progress: { page: 1, of: 3 } },
    'nothing to print for empty',
    { value: 'later: 1', retries: 0, progress: { page: 1, of: 1 } },
  ],
  bundle: ['a: 2', 'b: 1'],
  broken: 'string',
  printed: ['a', 'b', 'c', 'impatient', 'later', 'plain'],
  alarms: ['empty again: nothing to print for empty again', 'empty: nothing to print for empty'],
};

/** What became of a job of the old queue. */
async function jobOutcome(queue: Queue, id: string): Promise<Outcome | string> {
  let job: Job | undefined;
  await until(
    async () => (job = (await queue.getJob(id)) as Job | undefined)?.finishedOn !== undefined,
    `job ${id} has ended`,
    WITHIN_MS,
  );
  if (job === undefined || (await job.isFailed())) return job?.failedReason ?? '';
  return { value: job.returnvalue as unknown, retries: job.attemptsMade - 1, progress: job.progress };
}

/** What became of a task. */
async function taskOutcome(app: TestApp, id: string): Promise<Outcome | string> {
  const handle = app.workflows.result(id);
  const value = await handle.get({ propagate: false, timeout: WITHIN_MS });
  if (value instanceof Error) return value.message;
  const { retries = 0, progress } = await handle.describe();
  return { value, retries, progress };
}

describe('the guide for moving over from @nestjs/bullmq', () => {
  it('before: does what it is said to do', async () => {
    const prefix = uniquePrefix('before');
    const print = new Print();
    const app = await fixture.boot({
      prefix,
      imports: bull(prefix) ?? [],
      providers: [before.Letters, before.LettersProcessor, ...given(print, before)],
      options: { role: 'producer' },
    });
    const queue = queueOf(app);
    expect(await send(app.get(before.Letters), print, (id) => jobOutcome(queue, id))).toEqual(EXPECTED);
    await until(() => meanwhile.isDrained(queue), 'the queue is drained');
  });

  it('after: does the same', async () => {
    const print = new Print();
    const app = await fixture.boot({
      providers: [after.Letters, after.LetterTasks, ...given(print, after)],
      options: { queues: { letters: { concurrency: 5 } } },
    });
    expect(await send(app.get(after.Letters), print, (id) => taskOutcome(app, id))).toEqual(EXPECTED);
  });

  it('meanwhile: the old processor drains its queue beside the new tasks, and nothing runs twice', async () => {
    const prefix = uniquePrefix('meanwhile');
    const print = new Print();
    // Published before anybody works, and before the new code is there.
    const old = await fixture.boot({
      prefix,
      imports: bull(prefix) ?? [],
      providers: [before.Letters],
      options: { role: 'producer' },
    });
    const oldIds = [
      await old.get(before.Letters).send({ to: 'old', pages: 1 }),
      await old.get(before.Letters).sendLater({ to: 'old, later', pages: 1 }, 500),
      await old.get(before.Letters).sendAll([{ to: 'old, in a flow', pages: 1 }]),
    ];
    expect(await meanwhile.isDrained(queueOf(old))).toBe(false);
    await old.close();

    const both = await fixture.boot({
      prefix,
      imports: bull(prefix) ?? [],
      providers: [after.Letters, after.LetterTasks, before.LettersProcessor, ...given(print, before, after)],
    });
    const id = await both.get(after.Letters).send({ to: 'new', pages: 1 });
    expect(await taskOutcome(both, id)).toMatchObject({ value: 'new: 1' });
    const queue = queueOf(both);
    await until(() => meanwhile.isDrained(queue), 'the old queue is drained', WITHIN_MS);
    expect(await Promise.all(oldIds.map((one) => jobOutcome(queue, one)))).toMatchObject([
      { value: 'old: 1' },
      { value: 'old, later: 1' },
      { value: ['old, in a flow: 1'] },
    ]);
    expect(print.printed.sort()).toEqual(['new', 'old', 'old, in a flow', 'old, later']);
  });

  it('meanwhile: what is handed over becomes a task, once', async () => {
    const prefix = uniquePrefix('over');
    const print = new Print();
    const app = await fixture.boot({
      prefix,
      imports: bull(prefix) ?? [],
      providers: [before.Letters, after.LetterTasks, meanwhile.HandingOver, ...given(print, after)],
    });
    const queue = queueOf(app);
    const job = await app.get(before.Letters).send({ to: 'handed over', pages: 1 });
    const { value: task } = (await jobOutcome(queue, job)) as Outcome;
    expect(task).toBe(`letters-${job}`);
    expect(await taskOutcome(app, String(task))).toMatchObject({ value: 'handed over: 1' });
    await (await queue.getJob(job))?.retry('completed');
    expect(await jobOutcome(queue, job)).toMatchObject({ value: task });
    expect(print.printed).toEqual(['handed over']);
  });
});
