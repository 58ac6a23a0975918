import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { CanvasData, ChainData, ChordData, GroupData, SignatureData } from './canvas-data.js';
import { equalCanvases, withErrback, withLink, withOptions, withStamp } from './canvas-node.js';
import { makeChain } from './chain.js';
import { makeChord } from './chord.js';
import { addMember, makeGroup } from './group.js';
import { prepareCall, settleExpiry, withInput, withoutInput } from './prepare-call.js';
import { makeSignature } from './signature.js';

const add = (...args: number[]): SignatureData => makeSignature('add', args);
const fixed = (...args: number[]): SignatureData => makeSignature('add', args, { immutable: true });
const argsOf = (node: CanvasData | undefined): unknown => (node?.kind === 'task' ? node.args : undefined);

function frozenAllTheWay(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every((part) => frozenAllTheWay(part));
}

const nested = (): ChordData =>
  withErrback(
    withLink(
      makeChord(
        [makeChain([add(1), makeGroup([add(2), fixed(3, 4)])]), withOptions(add(), { queue: 'slow' })],
        makeChain([makeSignature('sum'), makeChord([], add(9), { recovery: 'CallbackWithOutcomes' })]),
      ),
      add(7),
    ),
    makeSignature('report', ['x']),
  );

describe('constructors', () => {
  it('makes frozen plain data that survives JSON', () => {
    const canvas = nested();
    expect(frozenAllTheWay(canvas)).toBe(true);
    const copy = JSON.parse(JSON.stringify(canvas)) as ChordData;
    expect(copy).toEqual(canvas);
    expect(equalCanvases(copy, canvas)).toBe(true);
    expect(equalCanvases(copy, nested())).toBe(true);
  });

  it('copies the list of arguments and leaves the arguments alone', () => {
    const order = { id: 1 };
    const args = [order];
    const signature = makeSignature('ship', args);
    args.push({ id: 2 });
    expect(signature.args).toEqual([{ id: 1 }]);
    expect(signature.args[0]).toBe(order);
    expect(Object.isFrozen(order)).toBe(false);
  });

  it('takes undefined at the end of the arguments as not given', () => {
    expect(makeSignature('f', [1, undefined, undefined]).args).toEqual([1]);
    expect(makeSignature('f', [undefined, 1]).args).toHaveLength(2);
  });

  it('tells equal from different (B001)', () => {
    expect(
      equalCanvases(withOptions(add(2, 2), { countdownMs: 10 }), withOptions(add(2, 2), { countdownMs: 10 })),
    ).toBe(true);
    expect(equalCanvases(add(2, 2), add(2, 3))).toBe(false);
    expect(equalCanvases(add(2, 2), fixed(2, 2))).toBe(false);
    expect(equalCanvases(makeGroup([add(1)]), makeChain([add(1)]))).toBe(false);
  });

  it('opens a bare chain in a chain, and no other', () => {
    const inner = makeChain([add(1), add(2)]);
    expect(makeChain([inner, add(3)]).steps).toEqual([add(1), add(2), add(3)]);
    expect(makeChain([withLink(inner, add(9)), add(3)]).steps).toHaveLength(2);
    expect(makeChain([makeGroup([add(1)]), add(3)]).steps[0]?.kind).toBe('group');
    let grown = makeChain([add(0)]);
    for (let step = 1; step < 2_000; step++) grown = makeChain([grown, add(step)]);
    expect(grown.steps).toHaveLength(2_000);
  });

  it('reads members from any iterable, and adds one', () => {
    function* members(): Generator<SignatureData> {
      yield add(1);
      yield add(2);
    }
    const group = makeGroup(members());
    const more = addMember(group, add(3));
    expect(group.members).toHaveLength(2);
    expect(more.members).toEqual([add(1), add(2), add(3)]);
    expect(frozenAllTheWay(more)).toBe(true);
  });

  it('lends the members of a bare group to a header, and keeps a chain as one member (B052)', () => {
    expect(makeChord(makeGroup([add(1), add(2)]), add()).header).toEqual([add(1), add(2)]);
    expect(makeChord(makeChain([add(1), add(2)]), add()).header).toHaveLength(1);
    expect(makeChord([makeGroup([add(1)])], add()).header[0]?.kind).toBe('group');
    expect(() => makeChord(withLink(makeGroup([add(1)]), add()), add())).toThrow(
      'Canvas at header: a group with options or callbacks of its own cannot be a header',
    );
  });

  it.each([
    [() => makeChain([]), 'Canvas at root: a chain needs at least one step'],
    [
      () => makeChord([], undefined as never),
      'Canvas at body: a chord needs a body; without one it is a group',
    ],
    [() => makeSignature(''), 'Canvas at root: a signature needs the name of a task'],
    [() => makeSignature('f', 'x' as never), 'Canvas at root: the arguments of "f" have to be an array'],
    [
      () => makeGroup([add(1), 7 as never]),
      'Canvas at members[1]: expected a signature, chain, group or chord, got number',
    ],
    [() => makeGroup([null as never]), 'got null'],
    [() => makeGroup([Promise.resolve(1) as never]), 'got a promise; .delay() publishes, .s() does not'],
    [() => makeChain([{ s: () => add(1) } as never]), 'got a task itself; call its .s(…)'],
    [() => makeGroup(7 as never), 'Canvas at members: expected a list of signatures'],
  ])('refuses at once what is no canvas', (make, message) => {
    expect(make).toThrow(InvalidCanvasError);
    expect(make).toThrow(message);
  });
});

describe('options and callbacks', () => {
  it('merges options, a later one wins, undefined leaves what is there (B003)', () => {
    const once = withOptions(add(1), { countdownMs: 10, queue: 'a' });
    const twice = withOptions(once, { countdownMs: 1, queue: undefined });
    expect(twice.options).toEqual({ countdownMs: 1, queue: 'a' });
    expect(once.options).toEqual({ countdownMs: 10, queue: 'a' });
    expect(add(1).options).toBeUndefined();
  });

  it('lets a later way to say when replace an earlier one', () => {
    expect(withOptions(withOptions(add(), { countdownMs: 5 }), { eta: 99 }).options).toEqual({ eta: 99 });
    expect(withOptions(withOptions(add(), { eta: 99 }), { countdownMs: 5 }).options).toEqual({
      countdownMs: 5,
    });
    expect(withOptions(withOptions(add(), { expires: 9 }), { expiresInMs: 5 }).options).toEqual({
      expiresInMs: 5,
    });
  });

  it('merges headers key by key', () => {
    const one = withOptions(add(), { headers: { a: 1, b: 1 } });
    expect(withOptions(one, { headers: { b: 2 } }).options?.headers).toEqual({ a: 1, b: 2 });
  });

  it('keeps one of two equal callbacks (B008)', () => {
    const linked = withLink(withLink(add(1), add(8)), add(8));
    expect(linked.links).toEqual([add(8)]);
    expect(withErrback(withErrback(linked, add(1)), add(2)).errbacks).toEqual([add(1), add(2)]);
  });

  it('stamps every task there is: steps, members, bodies and callbacks (B180, B181)', () => {
    const stamped = withStamp(nested(), { tenant: 't1' });
    const names = [...JSON.stringify(stamped).matchAll(/"kind":"task"/g)].length;
    expect([...JSON.stringify(stamped).matchAll(/"headers":\{"tenant":"t1"\}/g)]).toHaveLength(names);
    expect(withStamp(stamped, { tenant: 't2' })).toEqual(withStamp(nested(), { tenant: 't2' }));
    expect(frozenAllTheWay(stamped)).toBe(true);
  });
});

describe('partial arguments', () => {
  it('puts late arguments in front of the stored ones (B002)', () => {
    expect(withInput(makeSignature('sub', [10]), [30]).args).toEqual([30, 10]);
    expect(withInput(add(1), [])).toEqual(add(1));
  });

  it('drops them for an immutable task (B005)', () => {
    const signature = fixed(2, 2);
    expect(withInput(signature, [4])).toBe(signature);
  });

  it('gives them to every member of a group (B016)', () => {
    const group = withInput(makeGroup([add(1), fixed(2), makeGroup([add(3)])]), [10]);
    expect(group.members.slice(0, 2).map(argsOf)).toEqual([[10, 1], [2]]);
    expect((group.members[2] as GroupData).members.map(argsOf)).toEqual([[10, 3]]);
  });

  it('gives them to the first step of a chain (B028)', () => {
    const chain = withInput(makeChain([add(1), add(2)]), [10]);
    expect(chain.steps.map(argsOf)).toEqual([[10, 1], [2]]);
    const fan = withInput(makeChain([makeGroup([add(1), add(2)]), add(3)]), [10]);
    expect((fan.steps[0] as GroupData).members.map(argsOf)).toEqual([
      [10, 1],
      [10, 2],
    ]);
  });

  it('gives them to every header member of a chord, never to its body (B054)', () => {
    const chord = withInput(makeChord([add(1), makeChain([add(2), add(3)])], add(4)), [10]);
    expect(argsOf(chord.header[0])).toEqual([10, 1]);
    expect((chord.header[1] as ChainData).steps.map(argsOf)).toEqual([[10, 2], [3]]);
    expect(argsOf(chord.body)).toEqual([4]);
    expect(withInput(makeChord([], add(4)), [10])).toEqual(makeChord([], add(4)));
  });

  it('never reaches callbacks, and shares what it does not change', () => {
    const canvas = nested();
    const given = withInput(canvas, [10]);
    expect(given.body).toBe(canvas.body);
    expect(given.links).toBe(canvas.links);
    expect(frozenAllTheWay(given)).toBe(true);
    expect(canvas).toEqual(nested());
  });

  it('closes the input of a canvas', () => {
    const closed = withoutInput(makeChain([makeGroup([add(1), add(2)]), add(3)]));
    expect(withInput(closed, [10])).toEqual(closed);
    expect(closed.steps[1]).toEqual(add(3));
  });
});

describe('prepareCall', () => {
  const clock = { wallMs: () => 1_000 };

  it('puts in arguments, options and callbacks at once', () => {
    const call = prepareCall(
      withOptions(add(1), { queue: 'a', countdownMs: 9 }),
      [10],
      { eta: new Date(5_000), link: add(2), linkError: [add(3), add(4)] },
      clock,
    );
    expect(call).toEqual({
      kind: 'task',
      task: 'add',
      args: [10, 1],
      options: { queue: 'a', eta: 5_000 },
      links: [add(2)],
      errbacks: [add(3), add(4)],
    });
  });

  it('returns the same canvas when nothing was given', () => {
    const canvas = nested();
    expect(prepareCall(canvas, [], {}, clock)).toBe(canvas);
  });

  it('names the option when a callback is no canvas', () => {
    expect(() => prepareCall(add(), [], { link: 5 as never }, clock)).toThrow(
      'Canvas at options.link: expected',
    );
  });

  it('turns a length of time until expiry into a point in time, for what is released now (B152)', () => {
    const late = withOptions(add(2), { expiresInMs: 500 });
    const chord = makeChord([late, makeChain([late, late])], late);
    const settled = settleExpiry(chord, 1_000);
    expect(settled.header[0]?.options).toEqual({ expires: 1_500 });
    expect((settled.header[1] as ChainData).steps.map((step) => step.options)).toEqual([
      { expires: 1_500 },
      { expiresInMs: 500 },
    ]);
    expect(settled.body.options).toEqual({ expiresInMs: 500 });
  });
});
