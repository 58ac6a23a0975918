import {
  membersOfChunks,
  type ChainRef,
  type ChordRef,
  type Headers,
  type Ref,
  type TaskRef,
} from './canvas-model.js';

/** A link or errback as it hangs on a node. */
export interface Callback {
  readonly label: string;
  readonly headers: Headers;
}

interface Spot {
  /** The end of the node's id, after that of the canvas: `.0.body`; empty for the canvas itself. */
  readonly place: string;
  readonly links: readonly Callback[];
  readonly errbacks: readonly Callback[];
}

/** A call. With callbacks of its own it is a node, and its job the first child of that. */
export interface PlacedTask extends Spot {
  readonly kind: 'task';
  readonly ref: TaskRef;
  readonly job: string;
  readonly headers: Headers;
  readonly by?: Placed;
  /** What it adds; absent where there is no group around it. */
  readonly adds?: readonly Placed[];
}

export interface PlacedChain extends Spot {
  readonly kind: 'chain';
  readonly steps: readonly Placed[];
}

export interface PlacedGroup extends Spot {
  readonly kind: 'group';
  readonly members: readonly Placed[];
}

export interface PlacedChord extends Spot {
  readonly kind: 'chord';
  readonly header: readonly Placed[];
  readonly body: Placed;
  readonly recovery: ChordRef['recovery'];
}

export type Placed = PlacedTask | PlacedChain | PlacedGroup | PlacedChord;

/** What a node gets from where it stands. */
interface Above {
  /** Headers of the nodes further out; they win over its own. */
  readonly stamps: Headers;
  /** Headers of the task in whose place it is put; its own win over them. */
  readonly rides: Headers;
  /** Errbacks that a group hung on each of its members. */
  readonly errbacks?: readonly Callback[];
  /** The group or header that members are added to, and the index of the first of them. */
  readonly home?: { readonly place: string; readonly next: number };
}

/**
 * Gives every node of a canvas the id under which handles find it, with its callbacks and headers. The rules are few: a
 * child is named by its index or `body`; a chain in a chain is its steps, a chain of one is that one, unless they have
 * callbacks of their own; a task with callbacks is child 0 of a node; an errback on a chord's body is the chord's.
 */
export function placed(canvas: Ref): Placed {
  return at(canvas, '', { stamps: {}, rides: {} });
}

/** This node and everything under it, what is put in places and what is added included. */
export function* placesOf(node: Placed): Generator<Placed, void, undefined> {
  yield node;
  for (const child of childrenOf(node)) yield* placesOf(child);
}

function childrenOf(node: Placed): readonly Placed[] {
  switch (node.kind) {
    case 'task':
      return [...(node.by === undefined ? [] : [node.by]), ...(node.adds ?? [])];
    case 'chain':
      return node.steps;
    case 'group':
      return node.members;
    case 'chord':
      return [...node.header, node.body];
    default:
      return node satisfies never;
  }
}

function at(ref: Ref, place: string, above: Above): Placed {
  const stamps = { ...ref.stamp, ...above.stamps };
  const headers = { ...above.rides, ...stamps };
  const home = above.home === undefined ? {} : { home: above.home };
  const below: Above = { stamps, rides: above.rides, ...home };
  const links = labels(ref.link, headers);
  const errbacks = [...labels(ref.errback, headers), ...(above.errbacks ?? [])];
  const spot: Spot = { place, links, errbacks };
  const members = (refs: readonly Ref[], from: Above): Placed[] =>
    refs.map((member, index) => at(member, `${place}.${index}`, from));
  switch (ref.kind) {
    case 'task': {
      const job = hasCallbacks(spot) ? `${place}.0` : place;
      const by = ref.by && at(ref.by, `${job}.replacement.0`, { stamps: {}, rides: headers, ...home });
      const adds =
        above.home && ref.adds && addedTo(above.home, ref.adds, { stamps: {}, rides: headers, ...home });
      return { kind: 'task', ...spot, ref, job, headers, ...(by && { by }), ...(adds && { adds }) };
    }
    case 'chain': {
      const steps = stepsOf(ref);
      const [only] = steps;
      if (steps.length === 1 && only !== undefined && !hasCallbacks(spot)) return at(only, place, below);
      return { kind: 'chain', ...spot, steps: members(steps, below) };
    }
    case 'group': {
      const hung = labels(ref.eachErrback, headers);
      const from = { ...below, errbacks: hung, home: { place, next: ref.members.length } };
      return { kind: 'group', ...spot, members: members(ref.members, from) };
    }
    case 'chunks':
      return { kind: 'group', ...spot, members: members(membersOfChunks(ref), below) };
    case 'chord': {
      const { errback, ...body } = ref.body;
      const hung = labels(errback, { ...above.rides, ...ref.body.stamp, ...stamps });
      return {
        kind: 'chord',
        ...spot,
        errbacks: [...errbacks, ...hung],
        header: members(ref.header, { ...below, home: { place, next: ref.header.length } }),
        body: at(body as Ref, `${place}.body`, below),
        recovery: ref.recovery,
      };
    }
    default:
      return ref satisfies never;
  }
}

function addedTo({ place, next }: NonNullable<Above['home']>, refs: readonly Ref[], from: Above): Placed[] {
  return refs.map((ref, index) => at(ref, `${place}.${next + index}`, from));
}

/** Steps of chains inside a chain belong to the outer one; their stamps go along. */
function stepsOf(chain: ChainRef): Ref[] {
  return chain.steps.flatMap((step) => {
    if (step.kind !== 'chain' || step.link !== undefined || step.errback !== undefined) return [step];
    const steps = stepsOf(step);
    return step.stamp === undefined
      ? steps
      : steps.map((inner): Ref => ({ ...inner, stamp: { ...inner.stamp, ...step.stamp } }));
  });
}

function hasCallbacks({ links, errbacks }: Spot): boolean {
  return links.length + errbacks.length > 0;
}

const labels = (label: string | undefined, headers: Headers): Callback[] =>
  label === undefined ? [] : [{ label, headers }];
