import type { Workers } from '../backend/workers.js';
import { QueueSlots } from './queue-slots.js';

describe('the slots of a queue', () => {
  const slots = () => {
    const changed = new Map<string, number>();
    const told: [string, number][] = [];
    const pool = { setConcurrency: (...of: [string, number]) => void told.push(of) } as unknown as Workers;
    const subject = new QueueSlots({ concurrency: (queue) => changed.get(queue) });
    return { subject, changed, told, pool };
  };

  it('are one until it is known whether somebody has changed them, and then as declared', () => {
    const { subject, told, pool } = slots();
    expect(subject.begin('reports', { declared: 10, most: Infinity })).toBe(1);
    subject.follow(pool);
    expect(told).toEqual([['reports', 10]]);
    expect(subject.begin('mail', { declared: 7, most: Infinity })).toBe(7);
  });

  it('follow what was changed, and what was taken back', () => {
    const { subject, changed, told, pool } = slots();
    subject.begin('reports', { declared: 10, most: Infinity });
    changed.set('reports', 2);
    subject.follow(pool);
    changed.clear();
    subject.follow(pool);
    expect(told).toEqual([
      ['reports', 2],
      ['reports', 10],
    ]);
  });

  it('are no more than there are children', () => {
    const { subject, changed, told, pool } = slots();
    changed.set('reports', 50);
    subject.begin('reports', { declared: 4, most: 4 });
    subject.follow(pool);
    expect(told).toEqual([['reports', 4]]);
  });
});
