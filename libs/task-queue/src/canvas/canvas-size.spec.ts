import { ArgumentTooLargeError, CanvasTooLargeError } from '../errors/publish.errors.js';
import type { CanvasData } from './canvas-data.js';
import { withErrback, withLink } from './canvas-node.js';
import { validateCanvas } from './canvas-validate.js';
import { makeChain } from './chain.js';
import { makeChord } from './chord.js';
import { makeGroup } from './group.js';
import { makeSignature } from './signature.js';

const limits = { argumentBytes: 1_000, canvasBytes: 2_000 };
const call = (characters: number) => makeSignature('f', ['x'.repeat(characters)]);
/** Its JSON with the brackets of the list and the quotes is as long as the limit. */
const JUST = limits.argumentBytes - '[""]'.length;

function refusalOf(canvas: CanvasData): unknown {
  try {
    validateCanvas(canvas, limits);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('the arguments of a call', () => {
  it('may take as many bytes of JSON as the limit, and not one more', () => {
    expect(refusalOf(call(JUST))).toBeUndefined();
    expect(refusalOf(call(JUST + 1))).toMatchObject({
      code: 'ARGUMENT_TOO_LARGE',
      taskName: 'f',
      path: 'args[0]',
      bytes: 1_001,
      limit: 1_000,
    });
  });

  it('are counted in bytes, escapes included', () => {
    expect(refusalOf(makeSignature('f', ['€'.repeat(332)]))).toBeUndefined();
    expect(refusalOf(makeSignature('f', ['€'.repeat(333)]))).toMatchObject({ bytes: 1_003 });
    expect(refusalOf(makeSignature('f', ['\u0000'.repeat(167)]))).toMatchObject({ bytes: 1_006 });
  });

  it('are named with the place of the call and of what makes them large', () => {
    const canvas = makeChain([
      call(1),
      makeChord([call(1), makeSignature('g', [1, { rows: ['x'.repeat(1_000)] }])], call(1)),
    ]);
    expect(refusalOf(canvas)).toMatchObject({ taskName: 'g', path: 'steps[1].header[1].args[1].rows[0]' });
    expect((refusalOf(canvas) as Error).message).toContain('limits.argumentBytes');
  });

  it('of many members are looked at one by one', () => {
    const members = Array.from({ length: 50 }, () => call(JUST));
    expect(refusalOf(makeGroup(members))).toBeUndefined();
    expect(refusalOf(makeGroup([...members, call(JUST + 1)]))).toMatchObject({ path: 'members[50].args[0]' });
  });
});

describe('what a composite keeps for later', () => {
  it.each<[string, CanvasData, string | undefined]>([
    ['the steps after the first', makeChain([call(900), call(900), call(900), call(900)]), 'root'],
    ['not the first step', makeChain([call(900), call(900)]), undefined],
    ['a body', makeChord([], makeChain([call(900), call(900), call(900)])), 'root'],
    ['not a header', makeChord([call(900), call(900), call(900)], call(1)), undefined],
    [
      'of a member',
      makeGroup([call(1), makeChain([makeChain([call(900), call(900), call(900), call(900)])])]),
      'members[1]',
    ],
    [
      'of what begins with the chain',
      makeChain([withLink(makeChain([call(1), call(900), call(900), call(900)]), call(1)), call(1)]),
      'steps[0]',
    ],
    [
      'callbacks',
      withErrback(withLink(withLink(call(1), call(900)), makeSignature('g', ['x'.repeat(900)])), call(901)),
      'root',
    ],
  ])('%s', (_what, canvas, path) => {
    const refusal = refusalOf(canvas);
    if (path === undefined) expect(refusal).toBeUndefined();
    else {
      expect(refusal).toBeInstanceOf(CanvasTooLargeError);
      expect(refusal).toMatchObject({ path, limit: 2_000 });
      expect((refusal as CanvasTooLargeError).bytes).toBeGreaterThan(2_000);
    }
  });

  it('is looked at after the arguments, which say more', () => {
    expect(refusalOf(makeChain([call(1), call(3_000)]))).toBeInstanceOf(ArgumentTooLargeError);
  });

  it('has no limit where none is given', () => {
    expect(() => validateCanvas(makeChain([call(1), call(5_000_000)]))).not.toThrow();
  });
});
