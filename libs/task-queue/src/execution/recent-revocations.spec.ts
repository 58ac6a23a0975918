import { RecentRevocations } from './recent-revocations.js';

describe('recent revocations', () => {
  let nowMs = 1_000_000;
  const make = (): RecentRevocations => new RecentRevocations({ wallMs: () => nowMs });

  it('cover a task and everything below it, but nothing that was released by it', () => {
    const revoked = make();
    expect(revoked.covers('c.1')).toBe(false);
    revoked.add('c.1');
    expect(['c.1', 'c.1.0', 'c.1.body.2'].filter((id) => !revoked.covers(id))).toEqual([]);
    const others = ['c', 'c.10', 'c.2', 'c.1.errback.0', 'c.1.link.0.1', 'c.1.0.errback.0'];
    expect(others.filter((id) => revoked.covers(id))).toEqual([]);
  });

  it('are forgotten after a minute', () => {
    const revoked = make();
    revoked.add('early');
    nowMs += 30_000;
    revoked.add('late');
    nowMs += 30_000;
    expect([revoked.covers('early'), revoked.covers('late')]).toEqual([false, true]);
  });

  it('are so many at most', () => {
    const revoked = make();
    for (let index = 0; index < 10_100; index++) revoked.add(`c${index}`);
    expect([revoked.covers('c99'), revoked.covers('c100')]).toEqual([false, true]);
  });
});
