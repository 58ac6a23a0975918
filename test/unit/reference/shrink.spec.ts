import {
  chain,
  chord,
  chunks,
  each,
  group,
  hasOrderedAdditions,
  immutableTask,
  nodesOf,
  swap,
  task,
  withErrback,
  withLink,
  withStamp,
  type Ref,
} from '../../support/reference/canvas-model.js';
import { generate } from '../../support/reference/generate.js';
import { interpret } from '../../support/reference/interpret.js';
import { render } from '../../support/reference/render.js';
import { shrink } from '../../support/reference/shrink.js';

/** A planted bug: groups inside groups come back reversed, as in Celery (B086). */
function withReversedNestedGroups(ref: Ref, inGroup = false): Ref {
  switch (ref.kind) {
    case 'task':
      return ref.by === undefined ? ref : { ...ref, by: withReversedNestedGroups(ref.by) };
    case 'chunks':
      return ref;
    case 'chain':
      return { ...ref, steps: ref.steps.map((step) => withReversedNestedGroups(step)) };
    case 'group': {
      const members = ref.members.map((member) => withReversedNestedGroups(member, true));
      return { ...ref, members: inGroup ? members.toReversed() : members };
    }
    case 'chord':
      return {
        ...ref,
        header: ref.header.map((member) => withReversedNestedGroups(member)),
        body: withReversedNestedGroups(ref.body),
      };
    default:
      return ref satisfies never;
  }
}

const outcomeText = (canvas: Ref): string => JSON.stringify(interpret(canvas).outcome);

const showsTheBug = (canvas: Ref): Promise<boolean> =>
  Promise.resolve(outcomeText(canvas) !== outcomeText(withReversedNestedGroups(canvas)));

const always = (): Promise<boolean> => Promise.resolve(true);
const never = (): Promise<boolean> => Promise.resolve(false);

describe('shrink', () => {
  it('finds the planted bug among random canvases, and the smallest canvas that shows it', async () => {
    const lines = new Set<string>();
    for (let seed = 0; seed < 300; seed += 1) {
      const canvas = generate(seed, { failureRate: 0 });
      if (!(await showsTheBug(canvas))) continue;
      const shrunk = await shrink(canvas, showsTheBug, { maxTries: 5_000 });
      expect(shrunk.minimal).toBe(true);
      expect(await showsTheBug(shrunk.canvas)).toBe(true);
      expect([...nodesOf(shrunk.canvas)].length).toBeLessThanOrEqual(4);
      lines.add(render(shrunk.canvas).replaceAll(/\d+|"x"|null/g, '_'));
    }
    expect(lines.size).toBeGreaterThan(0);
    expect([...lines]).toContain('group(group(ident(), ident(_)))');
  });

  it('keeps what is added to a group, and never two tasks that add to one', async () => {
    /** A planted bug: what is added comes first. */
    const addsFirst = (canvas: Ref): Promise<boolean> => {
      const { outcome } = interpret(canvas);
      const adds = [...nodesOf(canvas)].some((node) => node.kind === 'task' && (node.adds?.length ?? 0) > 0);
      return Promise.resolve(
        adds &&
          outcome.ok &&
          canvas.kind === 'group' &&
          Array.isArray(outcome.value) &&
          outcome.value.at(-1) !== null,
      );
    };
    const lines = new Set<string>();
    for (let seed = 0; seed < 3_000; seed += 1) {
      const canvas = generate(seed, { failureRate: 0 });
      if (!(await addsFirst(canvas))) continue;
      const shrunk = await shrink(canvas, addsFirst, { maxTries: 5_000 });
      expect(shrunk.minimal).toBe(true);
      expect(hasOrderedAdditions(shrunk.canvas)).toBe(true);
      lines.add(render(shrunk.canvas).replaceAll(/\d+|"\w"/g, '_'));
    }
    expect([...lines]).toContain('group(adder(ident(_)))');
  });

  it('drops callbacks, recovery, immutability and arguments that do not matter', async () => {
    const canvas = withLink(
      chord(
        [withErrback(immutableTask('list', 1, 'text'), 'E'), task('fail', 't')],
        withLink(task('list', 1), 'L'),
        'callback-with-outcomes',
      ),
      'L2',
    );
    const isChordWithTwoMembers = (ref: Ref): Promise<boolean> =>
      Promise.resolve(ref.kind === 'chord' && ref.header.length === 2);
    const shrunk = await shrink(canvas, isChordWithTwoMembers);
    expect(render(shrunk.canvas)).toBe('chord([ident(), ident()], ident())');
  });

  it('keeps the one callback that matters', async () => {
    const canvas = group(withErrback(withLink(task('fail', 't'), 'L'), 'E'), task('list'));
    const recordsAnErrback = (ref: Ref): Promise<boolean> =>
      Promise.resolve(interpret(ref).observations.some(({ kind }) => kind === 'errback'));
    expect(render((await shrink(canvas, recordsAnErrback)).canvas)).toBe('fail().linkError(E)');
  });

  it('cuts maps, chunks, replacements and stamps down', async () => {
    const mapped = withStamp(each('map', 'double', [1, [2], { key: 3 }]), { a: 'S1', b: 'S2' });
    const canvas = chain(
      swap(group(withLink(swap(mapped), 'L1+'), chunks('list', [[1], [2], [3]], 2))),
      mapped,
    );
    const shrinkTo = async (holds: (node: Ref) => boolean): Promise<string> => {
      const anyHolds = (ref: Ref): Promise<boolean> => Promise.resolve([...nodesOf(ref)].some(holds));
      return render((await shrink(canvas, anyHolds, { maxTries: 2_000 })).canvas);
    };
    expect(await shrinkTo((node) => node.kind === 'chunks' && node.argLists.length > 1)).toBe(
      'ident.chunks([[2],[3]], 2)',
    );
    expect(await shrinkTo((node) => node.kind === 'task' && node.by !== undefined)).toBe('swap(ident())');
    expect(await shrinkTo((node) => node.kind === 'task' && node.each !== undefined)).toBe('ident.map([])');
  });

  it('replaces a node by a part of it', async () => {
    const canvas = chain(task('ident', 1), chord([chain(task('ident'), group(task('list')))], task('sum')));
    const hasAGroup = (ref: Ref): Promise<boolean> =>
      Promise.resolve([...nodesOf(ref)].some(({ kind }) => kind === 'group'));
    expect(render((await shrink(canvas, hasAGroup)).canvas)).toBe('group()');
  });

  it('keeps the header of a chord as a group', async () => {
    const canvas = chain(task('ident', 1), chord([task('list'), task('sum')], task('sum')));
    const runsTwoAtOnce = (ref: Ref): boolean =>
      (ref.kind === 'group' && ref.members.length > 1) || (ref.kind === 'chord' && ref.header.length > 1);
    const hasTwoAtOnce = (ref: Ref): Promise<boolean> =>
      Promise.resolve([...nodesOf(ref)].some(runsTwoAtOnce));
    expect(render((await shrink(canvas, hasTwoAtOnce)).canvas)).toBe('group(ident(), ident())');
  });

  it('only tries canvases that are valid, and each of them once', async () => {
    const canvas = chain(chain(task('ident', 1)), chord([chain(task('list'))], chain(task('sum'))));
    const tried: Ref[] = [];
    const { tries } = await shrink(canvas, (smaller) => {
      tried.push(smaller);
      return Promise.resolve(smaller.kind === 'chain');
    });
    for (const smaller of tried) expect(() => interpret(smaller)).not.toThrow();
    expect(new Set(tried.map((smaller) => JSON.stringify(smaller))).size).toBe(tried.length);
    expect(tries).toBe(tried.length);
  });

  it('returns the canvas itself when nothing smaller fails', async () => {
    const canvas = group(task('list', 1), task('sum'));
    const shrunk = await shrink(canvas, never);
    expect(shrunk).toMatchObject({ canvas, minimal: true });
    expect(shrunk.tries).toBeGreaterThan(0);
  });

  it('stops when its tries are used up', async () => {
    const canvas = group(task('list', 1), task('sum'), task('fail', 't'));
    expect(await shrink(canvas, never, { maxTries: 2 })).toEqual({ canvas, tries: 2, minimal: false });
    const shrunk = await shrink(canvas, always, { maxTries: 1 });
    expect(shrunk).toMatchObject({ tries: 1, minimal: false });
    expect(render(shrunk.canvas)).toBe('ident()');
  });
});
