import { EventLoopMonitor } from './event-loop-monitor.js';

describe('the lag of the event loop', () => {
  let now = 0;
  let monitor: EventLoopMonitor;
  const tick = (lateMs = 0): void => {
    now += 250 + lateMs;
    jest.advanceTimersByTime(250);
  };
  beforeEach(() => {
    jest.useFakeTimers();
    monitor = new EventLoopMonitor(() => now);
    monitor.start();
  });
  afterEach(() => {
    monitor.stop();
    jest.useRealTimers();
  });

  it('is how late a timer is, also while it is late', () => {
    tick();
    expect(monitor.lagMs).toBe(0);
    now += 2_250;
    expect(monitor.lagMs).toBe(2_000);
    jest.advanceTimersByTime(250);
    expect(monitor.lagMs).toBe(2_000);
  });

  it('is the longest of the last ten seconds', () => {
    tick(700);
    tick(300);
    expect(monitor.lagMs).toBe(700);
    for (let ticks = 0; ticks < 39; ticks++) tick();
    expect(monitor.lagMs).toBe(300);
    tick();
    expect(monitor.lagMs).toBe(0);
  });

  it('leaves no timer', () => {
    monitor.start();
    expect(jest.getTimerCount()).toBe(1);
    monitor.stop();
    expect(jest.getTimerCount()).toBe(0);
  });
});
