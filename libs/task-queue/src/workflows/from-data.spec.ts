import type { CanvasData } from '../canvas/canvas-data.js';
import { makeSignature } from '../canvas/signature.js';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { AnyCanvas } from './canvas-types.js';
import { createChain } from './chain.js';
import { createChord } from './chord.js';
import { fromData } from './from-data.js';
import { createGroup } from './group.js';
import type { CanvasPublisher } from './port.js';
import { createSignature, type Signature } from './signature.js';

const publisher = {} as CanvasPublisher;
const call = (task: string, ...args: unknown[]): Signature<unknown[], number> =>
  createSignature(publisher, makeSignature(task, args));

function frozenAllTheWay(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every((part) => frozenAllTheWay(part));
}

describe('fromData', () => {
  const chord = createChord(
    publisher,
    [createChain(publisher, [call('add', 1, 2), call('double').set({ queue: 'slow' })])],
    call('sum'),
  ).linkError(call('report'));

  it.each<[string, AnyCanvas]>([
    ['signature', call('add', 1, 2)],
    ['chain', createChain(publisher, [call('add', 1, 2)])],
    ['group', createGroup(publisher, [call('add', 1, 2)])],
    ['chord', chord],
  ])('makes the same %s again', (_, canvas) => {
    const again = fromData(publisher, JSON.parse(JSON.stringify(canvas)) as CanvasData);
    expect(again.constructor).toBe(canvas.constructor);
    expect(again.equals(canvas)).toBe(true);
  });

  it('owes nothing to the data that it was made from', () => {
    const data = JSON.parse(JSON.stringify(chord)) as { header: { steps: { args: number[] }[] }[] };
    const again = fromData(publisher, data as unknown as CanvasData);
    data.header[0]?.steps[0]?.args.push(3);
    data.header.length = 0;
    expect(again.toJSON()).toEqual(chord.toJSON());
    expect(frozenAllTheWay(again.toJSON())).toBe(true);
  });

  it('refuses what cannot run', () => {
    expect(() => fromData(publisher, { kind: 'chain', steps: [] })).toThrow(InvalidCanvasError);
  });
});
