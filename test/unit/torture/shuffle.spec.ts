import { mulberry32 } from '../../support/reference/random.js';
import { inTurns, shuffled } from '../../../torture/shuffle.js';

describe('the order of cases', () => {
  const items = Array.from({ length: 50 }, (_, at) => at);

  it('follows from the seed, and leaves nothing out', () => {
    const one = shuffled(items, mulberry32(1));
    expect(one).toEqual(shuffled(items, mulberry32(1)));
    expect(one).not.toEqual(shuffled(items, mulberry32(2)));
    expect([...one].sort((a, b) => a - b)).toEqual(items);
  });

  it('takes one of each kind after the other', () => {
    const cases = ['cut 1', 'cut 2', 'cut 3', 'kill 1', 'again 1', 'kill 2'];
    expect(inTurns(cases, (one) => one.split(' ')[0])).toEqual([
      'cut 1',
      'kill 1',
      'again 1',
      'cut 2',
      'kill 2',
      'cut 3',
    ]);
  });
});
