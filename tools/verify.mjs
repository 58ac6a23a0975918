// @ts-check
/**
 * Everything that must hold before a change is merged, cheapest first. Each step is an npm script of its own.
 *
 *   node tools/verify.mjs                        all steps, up to the first that fails
 *   node tools/verify.mjs --keep-going <steps…>  the named ones, all of them
 *
 * One line for each step; the output of a step is shown when it fails. The last line sums up the tests.
 */
import { availableParallelism, tmpdir } from 'node:os';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { endCommands, runCommand } from './run-command.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const minute = 60_000;

/**
 * Stages follow one another; the steps of a stage do not need each other and run side by side.
 * @typedef {{ script: string, title: string, tests?: true, limitMs?: number }} Step
 * @type {readonly (readonly Step[])[]}
 */
const stages = [
  [
    { script: 'layers', title: 'layers and circles' },
    { script: 'lint', title: 'lint' },
    { script: 'typecheck', title: 'types, with TypeScript 7 and 6' },
    { script: 'format:check', title: 'format' },
  ],
  [{ script: 'test:unit', title: 'unit tests', tests: true, limitMs: 20 * minute }],
  [
    {
      script: 'test:integration',
      title: 'integration tests, on a real Redis',
      tests: true,
      limitMs: 45 * minute,
    },
  ],
  [{ script: 'torture:short', title: 'torture, a short run', limitMs: 15 * minute }],
  [
    { script: 'docs:check', title: 'docs checks', tests: true },
    { script: 'build', title: 'build' },
  ],
  [{ script: 'pack:check', title: 'pack check' }],
];

const totals = { passed: 0, failed: 0, skipped: 0 };
const reports = await mkdtemp(join(tmpdir(), 'verify-'));
const [keepGoing, wanted] = readArguments(process.argv.slice(2));
/** Each failed test with the beginning of its error, told before its step's output and at the end: that output may be long, and logs get cut. @type {string[]} */
const failures = [];
let failed = false;

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.once(signal, () => {
    endCommands('SIGTERM');
    process.exit(130);
  });
}

for (const stage of stages) {
  const steps = stage.filter(({ script }) => wanted.length === 0 || wanted.includes(script));
  await runStage(steps);
  if (failed && !keepGoing) break;
}
await rm(reports, { recursive: true, force: true });

if (failures.length > 0) process.stdout.write(`\n${failures.join('\n')}\n`);
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
process.stdout.write(`\n${totals.passed} passed, ${totals.failed} failed${skipped}\n`);
process.exitCode = failed ? 1 : 0;

/** @param {readonly string[]} args */
function readArguments(args) {
  const known = stages.flat().map(({ script }) => script);
  const names = args.filter((arg) => arg !== '--keep-going');
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    process.stderr.write(`No step ${unknown.join(', ')}; the steps are ${known.join(', ')}.\n`);
    process.exit(2);
  }
  return /** @type {const} */ ([names.length < args.length, names]);
}

/** @param {readonly Step[]} steps */
async function runStage(steps) {
  const waiting = [...steps];
  const width = Math.min(2, availableParallelism());
  const lane = async () => {
    for (;;) {
      const step = failed && !keepGoing ? undefined : waiting.shift();
      if (step === undefined) return;
      await runStep(step);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** @param {Step} step */
async function runStep({ script, title, tests, limitMs }) {
  const report = join(reports, `${script.replace(':', '-')}.json`);
  const flags = tests ? ['--', '--json', `--outputFile=${report}`] : [];
  const { failure, output, ms } = await runCommand(['npm', 'run', '--silent', script, ...flags], {
    cwd: root,
    ...(tests ? { farewell: 'Jest did not exit' } : {}),
    ...(limitMs === undefined ? {} : { limitMs }),
  });
  // Another step of the stage has failed and ended this one.
  if (failed && !keepGoing) return;
  const before = failures.length;
  const counted = tests ? await addToTotals(report) : '';
  const seconds = `${(ms / 1000).toFixed(1)} s`.padStart(8);
  process.stdout.write(`${failure ? 'FAIL' : 'ok  '} ${seconds}  ${title}${counted}\n`);
  if (!failure) return;
  failed = true;
  for (const line of failures.slice(before)) process.stdout.write(`${line}\n`);
  process.stdout.write(`\n${output.trim()}\n\n${title}: ${failure}. Again: npm run ${script}\n`);
  if (!keepGoing) endCommands('SIGTERM');
}

/** @param {string} report */
async function addToTotals(report) {
  const text = await readFile(report, 'utf8').catch(() => undefined);
  if (text === undefined) {
    totals.failed += 1;
    return '';
  }
  const result = JSON.parse(text);
  // A file that could not be loaded holds tests that nobody counted.
  const count = result.numFailedTests + result.numRuntimeErrorTestSuites;
  totals.passed += result.numPassedTests;
  totals.failed += count;
  totals.skipped += result.numPendingTests;
  failures.push(...result.testResults.flatMap(failuresOf));
  return `: ${result.numPassedTests} passed, ${count} failed`;
}

/**
 * @param {{ name: string, status: string, message: string,
 *   assertionResults: { fullName: string, status: string, failureMessages: string[] }[] }} file
 */
function failuresOf({ name, status, message, assertionResults }) {
  const tests = assertionResults.filter((test) => test.status === 'failed');
  if (tests.length === 0 && status === 'failed')
    return [`FAILED ${relative(root, name)}: ${firstLineOf(message)}`];
  return tests.map(
    ({ fullName, failureMessages }) =>
      `FAILED ${relative(root, name)} › ${fullName}:\n${firstLinesOf(failureMessages[0] ?? '')}`,
  );
}

/** What was expected and what was there, as far as that fits. @param {string} text */
function firstLinesOf(text) {
  const lines = stripVTControlCharacters(text)
    .split('\n')
    .filter((line) => line.trim() !== '');
  return lines
    .slice(0, 16)
    .map((line) => `  ${line.slice(0, 300)}`)
    .join('\n');
}

/** @param {string} text */
function firstLineOf(text) {
  const plain = stripVTControlCharacters(text);
  return (
    plain
      .split('\n')
      .find((line) => line.trim() !== '')
      ?.trim()
      .slice(0, 300) ?? ''
  );
}
