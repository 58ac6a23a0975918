import { nodesOf, task, type Ref, type TaskRef } from './canvas-model.js';

export interface ShrinkOptions {
  /** How many canvases to try at most. Defaults to 400. */
  maxTries?: number;
}

export interface Shrunk {
  canvas: Ref;
  /** How many canvases were tried. */
  tries: number;
  /** False when the tries ran out before every smaller canvas was known to pass. */
  minimal: boolean;
}

/**
 * Looks for a smaller canvas that still fails, by one cut at a time, smallest result first. The answer is one that
 * no single cut can make smaller. Every canvas tried is valid: no cut makes an empty chain.
 */
export async function shrink(
  canvas: Ref,
  fails: (smaller: Ref) => Promise<boolean>,
  { maxTries = 400 }: ShrinkOptions = {},
): Promise<Shrunk> {
  const tried = new Set<string>();
  let smallest = canvas;
  for (;;) {
    const failing = await firstFailing(cutsBelow(smallest), fails, tried, maxTries);
    if (failing === undefined) return { canvas: smallest, tries: tried.size, minimal: tried.size < maxTries };
    smallest = failing;
  }
}

async function firstFailing(
  candidates: readonly Ref[],
  fails: (smaller: Ref) => Promise<boolean>,
  tried: Set<string>,
  maxTries: number,
): Promise<Ref | undefined> {
  for (const candidate of candidates) {
    const key = JSON.stringify(candidate);
    if (tried.has(key)) continue;
    if (tried.size >= maxTries) return undefined;
    tried.add(key);
    if (await fails(candidate)) return candidate;
  }
  return undefined;
}

/** Every cut that makes the canvas lighter, lightest first. A shrink ends because weights are whole numbers. */
function cutsBelow(canvas: Ref): Ref[] {
  const weight = weightOf(canvas);
  return [...cutsOf(canvas)]
    .map((cut) => ({ cut, weight: weightOf(cut) }))
    .filter((candidate) => candidate.weight < weight)
    .sort((a, b) => a.weight - b.weight)
    .map(({ cut }) => cut);
}

function weightOf(canvas: Ref): number {
  let weight = 0;
  for (const node of nodesOf(canvas)) {
    weight += 20 + (node.link === undefined ? 0 : 5) + (node.errback === undefined ? 0 : 5);
    if (node.kind === 'task') weight += weightOfTask(node);
    if (node.kind === 'chord' && node.recovery !== 'errback-only') weight += 3;
  }
  return weight;
}

const weightOfTask = ({ name, args, immutable }: TaskRef): number =>
  JSON.stringify(args).length + (immutable === true ? 2 : 0) + (name === 'ident' ? 0 : 1);

function* cutsOf(ref: Ref): Generator<Ref, void, undefined> {
  yield* [...nodesOf(ref)].slice(1);
  yield* cutsOfCallbacks(ref);
  switch (ref.kind) {
    case 'task':
      yield* cutsOfTask(ref);
      break;
    case 'chain':
      yield task('ident');
      for (const steps of cutsOfList(ref.steps)) {
        if (steps.length > 0) yield { ...ref, steps };
      }
      break;
    case 'group':
      yield task('ident');
      for (const members of cutsOfList(ref.members)) yield { ...ref, members };
      break;
    case 'chord':
      yield task('ident');
      yield { kind: 'group', members: ref.header };
      yield { ...ref, recovery: 'errback-only' };
      for (const header of cutsOfList(ref.header)) yield { ...ref, header };
      for (const body of cutsOf(ref.body)) yield { ...ref, body };
      break;
    default:
      ref satisfies never;
  }
}

function* cutsOfCallbacks(ref: Ref): Generator<Ref, void, undefined> {
  const { link, errback, ...bare } = ref;
  if (link !== undefined) yield errback === undefined ? bare : { ...bare, errback };
  if (errback !== undefined) yield link === undefined ? bare : { ...bare, link };
}

function* cutsOfTask(ref: TaskRef): Generator<Ref, void, undefined> {
  const { immutable, ...mutable } = ref;
  if (immutable === true) yield mutable;
  yield { ...ref, name: 'ident' };
  for (const [index, arg] of ref.args.entries()) {
    yield { ...ref, args: ref.args.toSpliced(index, 1) };
    if (JSON.stringify(arg).length > 1) yield { ...ref, args: ref.args.with(index, 0) };
  }
}

/** The list without its first or second half, without any one item, and with any one item cut. */
function* cutsOfList(refs: readonly Ref[]): Generator<Ref[], void, undefined> {
  const middle = Math.floor(refs.length / 2);
  if (middle > 1) {
    yield refs.slice(0, middle);
    yield refs.slice(middle);
  }
  for (const [index, ref] of refs.entries()) {
    yield refs.toSpliced(index, 1);
    for (const cut of cutsOf(ref)) yield refs.with(index, cut);
  }
}
