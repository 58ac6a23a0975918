import { childrenOf, nodesOf, RECOVERIES, type Ref } from './canvas-model.js';

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

const KINDS = ['task', 'chain', 'group', 'chord'] as const;
const PLACES = ['chain', 'group', 'header', 'body'] as const;

/** Every name that `shapesOf` can give. */
export const ALL_SHAPES: readonly string[] = [
  ...KINDS.flatMap((kind) => PLACES.map((place) => `${kind} in ${place}`)),
  ...KINDS.flatMap((kind) => [
    `${kind} alone`,
    `link on ${kind}`,
    `errback on ${kind}`,
    `errback on body ${kind}`,
  ]),
  ...KINDS.flatMap((kind) => KINDS.map((next) => `${next} after ${kind}`)),
  ...PLACES.flatMap((place) => [`empty group in ${place}`, `one-member group in ${place}`]),
  ...PLACES.map((place) => `immutable task in ${place}`),
  ...RECOVERIES.map((recovery) => `recovery ${recovery}`),
  'one-step chain',
  'group in mid-chain',
  'empty group in mid-chain',
  'one-member group in mid-chain',
  'group at the end of a chain',
  'empty header',
  'one-member header',
];

function* shapesOfNode(node: Ref): Generator<string, void, undefined> {
  if (node.link !== undefined) yield `link on ${node.kind}`;
  if (node.errback !== undefined) yield `errback on ${node.kind}`;
  switch (node.kind) {
    case 'task':
      return;
    case 'chain':
      if (node.steps.length === 1) yield 'one-step chain';
      yield* shapesOfSteps(node.steps);
      break;
    case 'group':
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

type Place = (typeof PLACES)[number];

function placeOf(child: Ref, parent: Exclude<Ref, { kind: 'task' }>): Place {
  if (parent.kind !== 'chord') return parent.kind;
  return child === parent.body ? 'body' : 'header';
}

function* shapesInPlace(child: Ref, place: Place): Generator<string, void, undefined> {
  yield `${child.kind} in ${place}`;
  const special = specialNameOf(child);
  if (special !== undefined) yield `${special} in ${place}`;
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
