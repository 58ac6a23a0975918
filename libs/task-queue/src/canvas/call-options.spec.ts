import { InvalidCanvasError, InvalidIdError } from '../errors/publish.errors.js';
import { type ApplyOptions, isTaskId, readCallOptions } from './call-options.js';

const clock = { wallMs: () => 10_000 };
const read = (options: ApplyOptions) => readCallOptions(options, clock);

describe('readCallOptions', () => {
  it('turns what a user writes into plain milliseconds', () => {
    const options = read({
      countdown: '5s',
      expires: '1m',
      queue: 'reports',
      priority: 3,
      taskId: 'order_17-a',
      timeLimit: '5m30s',
      softTimeLimit: 300_000,
      maxRetries: 0,
      ignoreResult: true,
      headers: { tenant: 't1', nested: { a: [1] } },
    });
    expect(options).toEqual({
      countdownMs: 5_000,
      expires: 70_000,
      queue: 'reports',
      priority: 3,
      taskId: 'order_17-a',
      timeLimitMs: 330_000,
      softTimeLimitMs: 300_000,
      maxRetries: 0,
      ignoreResult: true,
      headers: { tenant: 't1', nested: { a: [1] } },
    });
    expect(Object.isFrozen(options)).toBe(true);
  });

  it('reads a time as Date, number or text', () => {
    expect(read({ eta: new Date(5) })).toEqual({ eta: 5 });
    expect(read({ eta: 5 })).toEqual({ eta: 5 });
    expect(read({ eta: '1970-01-01T00:00:05Z' })).toEqual({ eta: 5_000 });
    expect(read({ expires: new Date(7) })).toEqual({ expires: 7 });
  });

  it('keeps a length of time until expiry as a length when there is no clock', () => {
    expect(readCallOptions({ expires: '1m' })).toEqual({ expiresInMs: 60_000 });
  });

  it('takes undefined and null as not given, and leaves callbacks to the canvas', () => {
    expect(read({ queue: undefined, countdown: null as never, link: [] })).toEqual({});
  });

  it.each<[ApplyOptions, string]>([
    [{ countdown: -1 }, 'Canvas at options.countdown: expected milliseconds of 0 or more, got -1'],
    [{ countdown: 'soon' }, `Canvas at options.countdown: expected milliseconds or a duration such as '30s'`],
    [{ countdown: Date.now() }, 'options.countdown: expected a length of time of at most 10 years'],
    [{ expires: Date.now() + 60_000 }, 'a point in time is given as a Date'],
    [
      { eta: 'tomorrow' },
      'options.eta: expected a Date, epoch milliseconds or an ISO 8601 text, got "tomorrow"',
    ],
    [{ eta: new Date(Number.NaN) }, 'options.eta: expected a Date'],
    [{ eta: 5, countdown: 5 }, 'Canvas at options: countdown and eta exclude each other'],
    [{ queue: '' }, 'options.queue: expected the name of a queue, without ":", got ""'],
    [{ queue: 'a:b' }, 'options.queue: expected the name of a queue'],
    [{ priority: 0 }, 'options.priority: expected a whole number from 1 to 2097152, got 0'],
    [{ priority: 2_097_153 }, 'options.priority'],
    [{ maxRetries: -1 }, 'options.maxRetries: expected a whole number of 0 or more, got -1'],
    [{ maxRetries: Number.POSITIVE_INFINITY }, 'options.maxRetries'],
    [{ timeLimit: 0 }, 'options.timeLimit: expected a duration of more than 0, got 0'],
    [{ ignoreResult: 'yes' as never }, 'options.ignoreResult: expected true or false, got "yes"'],
    [{ softTimeLimit: 5, timeLimit: 5 }, 'options.softTimeLimit: it has to be shorter than timeLimit'],
    [{ headers: [] as never }, 'options.headers: expected an object'],
    [{ headers: { at: new Date() as never } }, 'options.headers.at: it cannot be sent as JSON: it is a Date'],
    [{ coutdown: 5 } as never, 'options.coutdown: unknown option; known are countdown, eta'],
    [7 as never, 'Canvas at options: expected an object of options, got 7'],
  ])('refuses %j', (options, message) => {
    expect(() => read(options)).toThrow(InvalidCanvasError);
    expect(() => read(options)).toThrow(message);
  });

  it.each(['', '17', 'a:b', 'a.b', 'ä', 'x'.repeat(129), 'a\n'])('refuses the id %j', (taskId) => {
    expect(() => read({ taskId })).toThrow(InvalidIdError);
    expect(isTaskId(taskId)).toBe(false);
  });

  it.each(['a', '17a', 'order-17', '_', 'x'.repeat(128)])('takes the id %j', (taskId) => {
    expect(read({ taskId })).toEqual({ taskId });
  });
});
