import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { read, root, runNode } from './workspace.js';

/** A small workspace: each file's text, by path. */
type Tree = Readonly<Record<string, string>>;

const lib = 'libs/task-queue/src';
const packages = [
  'bullmq',
  'ioredis',
  '@nestjs/common',
  '@nestjs/microservices',
  '@nestjs/terminus',
  'left-pad',
];

/** Everything as it should be. */
const clean: Tree = {
  [`${lib}/index.ts`]: `export { A } from './primitives/a.js'; export { Nest } from './nest/nest.js';`,
  [`${lib}/primitives/a.ts`]: `export class A {}`,
  [`${lib}/errors/b.ts`]: `import { A } from '../primitives/a.js'; export class B extends A {}`,
  [`${lib}/options/c.ts`]: `import type { Redis } from 'ioredis'; export type C = Redis | import('bullmq').Queue;`,
  [`${lib}/broker/d.ts`]: `import { Queue } from 'bullmq'; import { Redis } from 'ioredis'; export const d = [Queue, Redis];`,
  [`${lib}/nest/nest.ts`]: `import { Module } from '@nestjs/common'; import { d } from '../broker/d.js'; export const Nest = [Module, d];`,
  [`${lib}/nest/nest.spec.ts`]: `import { help } from '../../../../test/support/help.js'; help();`,
  [`${lib}/health/index.ts`]: `export { Health } from './health.js';`,
  [`${lib}/health/health.ts`]: `import { check } from '@nestjs/terminus'; export const Health = check;`,
  'src/main.ts': `import { A } from 'nestjs-task-queue'; import { Health } from 'nestjs-task-queue/health'; export const app = [A, Health];`,
  'test/support/help.ts': `import { A } from '../../${lib}/primitives/a.js'; export const help = () => new A();`,
  'test/integration/all.int-spec.ts': `import { d } from '../../${lib}/broker/d.js'; export const all = d;`,
  'test/types/a.test-d.ts': `import type { A } from 'nestjs-task-queue'; export type T = A;`,
  'bench/main.ts': `import { A } from 'nestjs-task-queue'; export const bench = A;`,
};

/** Files that are added to it, and the rules that each of them breaks. */
const wrong: Readonly<Record<string, readonly [text: string, ...rules: string[]]>> = {
  [`${lib}/primitives/value.ts`]: [`export { B } from '../errors/b.js';`, 'order-primitives'],
  [`${lib}/primitives/type.ts`]: [
    `import type { B } from '../errors/b.js'; export type X = B;`,
    'order-primitives',
  ],
  [`${lib}/primitives/inline.ts`]: [`export type X = import('../errors/b.js').B;`, 'order-primitives'],
  [`${lib}/errors/star.ts`]: [`export * from '../broker/d.js';`, 'order-errors'],
  [`${lib}/broker/lazy.ts`]: [`export const x = () => import('../nest/nest.js');`, 'order-broker'],
  [`${lib}/nest/later.ts`]: [`export { Health } from '../health/index.js';`, 'order-nest'],
  [`${lib}/options/entry.ts`]: [`export { A } from '../index.js';`, 'order-options'],
  [`${lib}/errors/x.ts`]: [`import type { Y } from './y.js'; export type X = Y;`, 'no-circle'],
  // A circle is reported once.
  [`${lib}/errors/y.ts`]: [`import type { X } from './x.js'; export type Y = X | 1;`],
  [`${lib}/helpers/a.ts`]: [`export { A } from '../primitives/a.js';`, 'folder-has-a-place'],
  [`${lib}/helpers/b.ts`]: [`export const b = 1;`],
  [`${lib}/errors/help.ts`]: [`export { b } from '../helpers/b.js';`, 'folder-has-a-place-of-target'],
  [`${lib}/options/value.ts`]: [`export { Redis } from 'ioredis';`, 'bullmq-values-in-broker'],
  [`${lib}/results/value.ts`]: [
    `export const x = () => import('bullmq');`,
    'bullmq-types-in-options',
    'bullmq-values-in-broker',
  ],
  [`${lib}/results/type.ts`]: [
    `import type { Job } from 'bullmq'; export type X = Job;`,
    'bullmq-types-in-options',
  ],
  [`${lib}/engine/type.ts`]: [
    `import type { Type } from '@nestjs/common'; export type X = Type;`,
    'nest-in-nest',
  ],
  [`${lib}/nest/check.ts`]: [`export { check } from '@nestjs/terminus';`, 'terminus-in-health'],
  [`${lib}/health/server.ts`]: [
    `export { Server } from '@nestjs/microservices';`,
    'microservices-in-microservice',
  ],
  [`${lib}/nest/pad.ts`]: [`export { pad } from 'left-pad';`, 'library-declares-its-packages'],
  'src/path.ts': [`export { A } from '../${lib}/primitives/a.js';`, 'library-by-name'],
  'test/types/path.test-d.ts': [
    `import type { A } from '../../${lib}/index.js'; export type X = A;`,
    'library-by-name',
  ],
  'bench/path.ts': [`export { d } from '../${lib}/broker/d.js';`, 'library-by-name'],
  [`${lib}/nest/name.ts`]: [
    `export { A } from 'nestjs-task-queue';`,
    'library-not-by-own-name',
    'order-nest',
  ],
  [`${lib}/nest/app.ts`]: [`export { app } from '../../../../src/main.js';`, 'library-knows-no-application'],
  [`${lib}/errors/index.ts`]: [`export { B } from './b.js';`, 'no-inner-index'],
  [`${lib}/chords/index.ts`]: [`export const chord = 1;`],
  [`${lib}/nest/index-of.ts`]: [`export { chord } from '../chords/index.js';`, 'no-inner-index-of-target'],
  [`${lib}/nest/help.ts`]: [`import '../../../../test/support/help.js';`, 'no-tests-in-production'],
  'src/y.spec.ts': [`export const y = 1;`],
  'src/spec.ts': [`export { y } from './y.spec.js';`, 'no-tests-in-production'],
  'src/nowhere.ts': [`export { x } from './is-not-here.js';`, 'resolvable'],
};

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'layers-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(at: string, tree: Tree): void {
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(at, path)), { recursive: true });
    writeFileSync(join(at, path), text);
  }
}

/** The rules that the files of a tree break, in order. */
async function brokenBy(tree: Tree): Promise<Record<string, string[]>> {
  const at = mkdtempSync(join(folder, 'tree-'));
  write(at, tree);
  for (const name of packages) {
    const manifest = JSON.stringify({ name, version: '1.0.0', main: 'dist/index.js' });
    write(join(at, 'node_modules', name), { 'package.json': manifest, 'dist/index.js': '' });
  }
  for (const file of [
    '.dependency-cruiser.cjs',
    'tsconfig.json',
    'package.json',
    'libs/task-queue/package.json',
  ])
    cpSync(join(root, file), join(at, file));
  const cruiser = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
    'libs',
    'src',
    'test',
    'bench',
  ];
  const { stdout, stderr } = await runNode([cruiser, ...args], at);
  if (stdout === '') throw new Error(stderr);
  const { summary } = JSON.parse(stdout) as {
    summary: { violations: { from: string; rule: { name: string } }[] };
  };
  const broken: Record<string, string[]> = {};
  for (const { from, rule } of summary.violations) (broken[from] ??= []).push(rule.name);
  for (const rules of Object.values(broken)) rules.sort();
  return broken;
}

describe('layers', () => {
  it('are followed by a tree that is as it should be', async () => {
    expect(await brokenBy(clean)).toEqual({});
  });

  it('are broken by exactly the files that break them', async () => {
    const files = Object.entries(wrong);
    const added = Object.fromEntries(files.map(([path, [text]]) => [path, text]));
    const expected = files.flatMap(([path, [, ...rules]]) =>
      rules.length > 0 ? [[path, rules] as const] : [],
    );
    expect(await brokenBy({ ...clean, ...added })).toEqual(Object.fromEntries(expected));
  });

  it('are tried out rule by rule', () => {
    const names = [...read('.dependency-cruiser.cjs').matchAll(/rule\(\s*'([\w-]+)'/g)].map(
      ([, name = '']) => name,
    );
    expect(names.length).toBeGreaterThan(10);
    const tried = new Set(Object.values(wrong).flatMap(([, ...rules]) => rules));
    expect(names.filter((name) => !tried.has(name))).toEqual([]);
  });
});
