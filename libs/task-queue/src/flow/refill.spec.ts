import type { NodeEnvelope, TaskEnvelope } from './envelope.js';
import { MAX_TREE } from './flow-plan.js';
import { CANVAS_QUEUE } from './ids.js';
import { type Rerun, sizeOfRerun } from './redrive.js';
import { firstStepOf, REFILL_CHUNK, refillChunks } from './refill.js';

const task = (id: string): Rerun => ({
  job: { id, queue: 'q', name: 't', data: { v: 1, args: [] } as TaskEnvelope, retention: 'parent' },
  children: [],
});
const node = (name: 'group' | 'chord' | 'chain', id: string, children: readonly Rerun[]): Rerun => ({
  job: { id, queue: CANVAS_QUEUE, name, data: {} as NodeEnvelope, retention: 'canvas' },
  children,
});
const wide = (id: string, size: number): Rerun =>
  node(
    'group',
    id,
    Array.from({ length: size }, (_, index) => task(`${id}.${index}`)),
  );

/** The nodes of a first step, held ones with an asterisk. */
const shown = ({ job, children, isHeld }: Rerun): string =>
  `${job.id}${isHeld ? '*' : ''}${children.length > 0 ? `(${children.map(shown).join(' ')})` : ''}`;

describe('the first step of a redrive', () => {
  it('is all of it where that is narrow', () => {
    const rerun = wide('a', MAX_TREE - 1);
    expect(firstStepOf(rerun)).toBe(rerun);
  });

  it('holds back a header that is wide, without its members', () => {
    expect(shown(firstStepOf(wide('a', MAX_TREE)))).toBe('a*');
  });

  it('takes along wide headers, and what they stand in; what is narrow follows', () => {
    const rerun = node('chord', 'a', [
      wide('a.0', REFILL_CHUNK - 1),
      wide('a.1', MAX_TREE),
      node('chain', 'a.2', [wide('a.2.1', REFILL_CHUNK)]),
      node('chain', 'a.3', [wide('a.3.1', 1)]),
      task('a.4'),
    ]);
    expect(shown(firstStepOf(rerun))).toBe('a*(a.1* a.2(a.2.1*))');
  });

  it('follows the one child of a chain, or a body that is run again alone, however narrow that is', () => {
    const rerun = node('chain', 'a', [node('chord', 'a.1', [wide('a.1.body', MAX_TREE)])]);
    expect(shown(firstStepOf(rerun))).toBe('a(a.1(a.1.body*))');
  });
});

describe('the chunks that follow', () => {
  it('hold so many jobs, of members that are whole', () => {
    const members = [
      ...Array.from({ length: 3 }, (_, at) => wide(`a.${at}`, 199)),
      task('a.3'),
      wide('a.4', 600),
    ];
    const chunks = [...refillChunks(members)];
    expect(chunks.map((chunk) => chunk.map(({ job }) => job.id))).toEqual([
      ['a.0', 'a.1'],
      ['a.2', 'a.3'],
      ['a.4'],
    ]);
    expect(chunks.flat().reduce((sum, member) => sum + sizeOfRerun(member), 0)).toBe(1_202);
    expect([...refillChunks([])]).toEqual([]);
  });
});
