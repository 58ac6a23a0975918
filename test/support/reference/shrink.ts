import {
  childrenOf,
  hasOrderedAdditions,
  membersOfChunks,
  nodesOf,
  task,
  type Ref,
  type TaskRef,
} from './canvas-model.js';

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
    .filter((candidate) => candidate.weight < weight && hasOrderedAdditions(candidate.cut))
    .sort((a, b) => a.weight - b.weight)
    .map(({ cut }) => cut);
}

function weightOf(canvas: Ref): number {
  let weight = 0;
  for (const node of nodesOf(canvas)) {
    weight += 20 + weightOfMarks(node);
    if (node.kind === 'task') weight += weightOfTask(node);
    if (node.kind === 'chunks')
      weight +=
        20 * membersOfChunks(node).length +
        weightOfList(node.argLists) +
        (node.name === 'ident' ? 0 : 1) +
        (node.asGroup === true ? 1 : 0);
    if (node.kind === 'chord' && node.recovery !== 'errback-only') weight += 3;
  }
  return weight;
}

function weightOfMarks(node: Ref): number {
  const callbacks = [node.link, node.errback, node.kind === 'group' ? node.eachErrback : undefined];
  const chained = callbacks.filter((label) => label?.endsWith('+') === true);
  const stamp = node.stamp === undefined ? 0 : JSON.stringify(node.stamp).length;
  return 5 * callbacks.filter((label) => label !== undefined).length + chained.length + stamp;
}

const weightOfTask = ({ name, args, immutable, each, ignoreResult }: TaskRef): number =>
  weightOfList(args) +
  (immutable === true ? 2 : 0) +
  (name === 'ident' ? 0 : 1) +
  (each === undefined ? 0 : 2) +
  (ignoreResult === true ? 2 : 0);

const weightOfList = (list: readonly unknown[]): number => JSON.stringify(list).length;

function* cutsOf(ref: Ref): Generator<Ref, void, undefined> {
  yield* [...nodesOf(ref)].slice(1);
  yield* cutsOfMarks(ref);
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
    case 'chunks':
      yield task('ident');
      yield* membersOfChunks(ref);
      for (const argLists of sublistsOf(ref.argLists)) yield { ...ref, argLists };
      if (ref.asGroup === true) yield { ...ref, asGroup: false };
      yield { ...ref, name: 'ident' };
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

function* cutsOfMarks(ref: Ref): Generator<Ref, void, undefined> {
  const { link, errback, stamp, ...bare } = ref;
  const marks = { ...(link && { link }), ...(errback && { errback }), ...(stamp && { stamp }) };
  const without = (mark: keyof typeof marks): Ref => {
    const { [mark]: _dropped, ...others } = marks;
    return { ...bare, ...others } as Ref;
  };
  for (const mark of ['link', 'errback'] as const) {
    const label = marks[mark];
    if (label === undefined) continue;
    yield without(mark);
    if (label.endsWith('+')) yield { ...ref, [mark]: label.slice(0, -1) };
  }
  if (stamp !== undefined) yield without('stamp');
  if (ref.kind === 'group' && ref.eachErrback !== undefined) {
    const { eachErrback: _dropped, ...others } = ref;
    yield others;
  }
}

function* cutsOfTask(ref: TaskRef): Generator<Ref, void, undefined> {
  const { immutable, each, ignoreResult, by, adds, ...plain } = ref;
  const kept = {
    ...(immutable && { immutable }),
    ...(each && { each }),
    ...(by && { by }),
    ...(adds && { adds }),
  };
  if (ignoreResult === true) yield { ...plain, ...kept };
  if (by !== undefined) {
    for (const cut of [...childrenOf(by), ...cutsOf(by)]) yield { ...ref, by: cut };
    return;
  }
  if (adds !== undefined) {
    for (const fewer of cutsOfList(adds)) yield { ...ref, adds: fewer };
    yield { ...plain, name: 'ident' };
    return;
  }
  if (each !== undefined) {
    // Items that are stored are the one argument.
    const [items] = ref.args;
    yield { ...plain, args: [] };
    if (Array.isArray(items)) for (const fewer of sublistsOf(items)) yield { ...ref, args: [fewer] };
    else yield { ...plain, ...(immutable && { immutable }) };
    yield { ...ref, name: 'ident' };
    return;
  }
  if (immutable === true) yield { ...plain, ...(ignoreResult && { ignoreResult }) };
  yield { ...ref, name: 'ident' };
  for (const [index, arg] of ref.args.entries()) {
    yield { ...ref, args: ref.args.toSpliced(index, 1) };
    if (JSON.stringify(arg).length > 1) yield { ...ref, args: ref.args.with(index, 0) };
  }
}

/** The list without its first or second half, without any one item, and with any one item cut. */
function* cutsOfList(refs: readonly Ref[]): Generator<Ref[], void, undefined> {
  yield* sublistsOf(refs);
  if (refs.length > LONG) return;
  for (const [index, ref] of refs.entries()) {
    for (const cut of cutsOf(ref)) yield refs.with(index, cut);
  }
}

/** The list without its first or second half, and without any one item. */
function* sublistsOf<T>(list: readonly T[]): Generator<T[], void, undefined> {
  const middle = Math.floor(list.length / 2);
  if (middle > 1) {
    yield list.slice(0, middle);
    yield list.slice(middle);
  }
  // Of a list of thousands, halves come first until it is short enough to go item by item.
  if (list.length > LONG) return;
  for (const index of list.keys()) yield list.toSpliced(index, 1);
}

const LONG = 64;
