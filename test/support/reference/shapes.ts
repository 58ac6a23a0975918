import { childrenOf, nodesOf, RECOVERIES, TASK_NAMES, type Ref, type TaskRef } from './canvas-model.js';

/**
 * Names of what makes a canvas interesting, such as 'chord in header', for statistics and for proof that a set of
 * canvases misses nothing.
 */
export function shapesOf(canvas: Ref): Set<string> {
  const shapes = new Set<string>([`${canvas.kind} alone`]);
  for (const node of nodesOf(canvas)) {
    for (const shape of shapesOfNode(node)) shapes.add(shape);
  }
  return shapes;
}

const KINDS = ['task', 'chain', 'group', 'chunks', 'chord'] as const;
const FORMS = ['map', 'starmap'] as const;
const PLACES = ['chain', 'group', 'header', 'body'] as const;

/** Every name that `shapesOf` can give. */
export const ALL_SHAPES: readonly string[] = [
  ...KINDS.flatMap((kind) => PLACES.map((place) => `${kind} in ${place}`)),
  ...KINDS.flatMap((kind) => [
    `${kind} alone`,
    `${kind} in place of a task`,
    `${kind} added to a group`,
    `stamp on ${kind}`,
    `link on ${kind}`,
    `errback on ${kind}`,
    `errback on body ${kind}`,
  ]),
  ...KINDS.flatMap((kind) => KINDS.map((next) => `${next} after ${kind}`)),
  ...PLACES.flatMap((place) => [`empty group in ${place}`, `one-member group in ${place}`]),
  ...PLACES.map((place) => `immutable task in ${place}`),
  ...PLACES.map((place) => `swap in ${place}`),
  ...PLACES.map((place) => `adder in ${place}`),
  ...RECOVERIES.map((recovery) => `recovery ${recovery}`),
  ...TASK_NAMES.map((name) => `task ${name}`),
  ...FORMS.flatMap((form) => [`${form} of items`, `${form} of what comes in`]),
  'errback on each member',
  'chunks as a group',
  'ignored result',
  'callback that is a chain',
  'swap with callbacks',
  'swap in place of a swap',
  'stamp inside a stamp',
  'one-step chain',
  'group in mid-chain',
  'empty group in mid-chain',
  'one-member group in mid-chain',
  'group at the end of a chain',
  'empty header',
  'one-member header',
];

function* shapesOfNode(node: Ref): Generator<string, void, undefined> {
  yield* shapesOfMarks(node);
  switch (node.kind) {
    case 'task':
      yield* shapesOfTask(node);
      return;
    case 'chunks':
      if (node.asGroup === true) yield 'chunks as a group';
      return;
    case 'chain':
      if (node.steps.length === 1) yield 'one-step chain';
      yield* shapesOfSteps(node.steps);
      break;
    case 'group':
      if (node.eachErrback !== undefined) yield 'errback on each member';
      break;
    case 'chord':
      yield `recovery ${node.recovery}`;
      if (node.header.length === 0) yield 'empty header';
      if (node.header.length === 1) yield 'one-member header';
      if (node.body.errback !== undefined) yield `errback on body ${node.body.kind}`;
      break;
    default:
      return node satisfies never;
  }
  for (const child of childrenOf(node)) yield* shapesInPlace(child, placeOf(child, node));
}

function* shapesOfMarks(node: Ref): Generator<string, void, undefined> {
  const { kind, link, errback, stamp } = node;
  if (link !== undefined) yield `link on ${kind}`;
  if (errback !== undefined) yield `errback on ${kind}`;
  if (link?.endsWith('+') === true || errback?.endsWith('+') === true) yield 'callback that is a chain';
  if (stamp === undefined) return;
  yield `stamp on ${kind}`;
  const [, ...inside] = nodesOf(node);
  if (inside.some((one) => one.stamp !== undefined)) yield 'stamp inside a stamp';
}

function* shapesOfTask({
  name,
  each,
  args,
  by,
  adds,
  ignoreResult,
  ...marks
}: TaskRef): Generator<string, void, undefined> {
  yield `task ${name}`;
  if (each !== undefined) yield `${each} of ${args.length > 0 ? 'items' : 'what comes in'}`;
  if (ignoreResult === true) yield 'ignored result';
  for (const added of adds ?? []) yield `${added.kind} added to a group`;
  if (by === undefined) return;
  yield `${by.kind} in place of a task`;
  if (marks.link !== undefined || marks.errback !== undefined) yield 'swap with callbacks';
  if (by.kind === 'task' && by.by !== undefined) yield 'swap in place of a swap';
}

type Place = (typeof PLACES)[number];

function placeOf(child: Ref, parent: Exclude<Ref, { kind: 'task' | 'chunks' }>): Place {
  if (parent.kind !== 'chord') return parent.kind;
  return child === parent.body ? 'body' : 'header';
}

function* shapesInPlace(child: Ref, place: Place): Generator<string, void, undefined> {
  yield `${child.kind} in ${place}`;
  const special = specialNameOf(child);
  if (special !== undefined) yield `${special} in ${place}`;
  if (child.kind === 'task' && child.by !== undefined) yield `swap in ${place}`;
  if (child.kind === 'task' && child.adds !== undefined) yield `adder in ${place}`;
}

function* shapesOfSteps(steps: readonly Ref[]): Generator<string, void, undefined> {
  for (const [index, step] of steps.entries()) {
    const previous = steps[index - 1];
    if (previous !== undefined) yield `${step.kind} after ${previous.kind}`;
    if (step.kind !== 'group') continue;
    const isLast = index === steps.length - 1;
    yield isLast ? 'group at the end of a chain' : 'group in mid-chain';
    const special = specialNameOf(step);
    if (!isLast && special !== undefined) yield `${special} in mid-chain`;
  }
}

function specialNameOf(ref: Ref): string | undefined {
  if (ref.kind === 'task') return ref.immutable === true ? 'immutable task' : undefined;
  if (ref.kind !== 'group' || ref.members.length > 1) return undefined;
  return ref.members.length === 0 ? 'empty group' : 'one-member group';
}
