import {
  NonRetryableError,
  RemoteTaskError,
  TaskRevokedError,
  WorkerLostError,
} from '../errors/task.errors.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { ResultTimeoutError, WaitInsideTaskError } from '../errors/result.errors.js';
import { TaskQueueError } from '../errors/task-queue.error.js';
import { serializeError } from '../failure/serialize-error.js';
import { ErrorRegistry } from './error-registry.js';

class PaymentDeclined extends Error {
  override readonly name = 'PaymentDeclined';
  readonly made = 'by the constructor';
  constructor(
    readonly amount: number,
    options?: ErrorOptions,
  ) {
    super(`declined: ${amount}`, options);
  }
  get doubled(): number {
    return this.amount * 2;
  }
}

/** What comes out of the store for what was thrown. */
const stored = (thrown: unknown) =>
  JSON.parse(JSON.stringify(serializeError(thrown))) as ReturnType<typeof serializeError>;

describe('ErrorRegistry', () => {
  it.each([
    new TypeError('t'),
    new RangeError('r'),
    new SyntaxError('s'),
    new NonRetryableError('n'),
    new WorkerLostError(3),
    new TaskRevokedError('v'),
    new ResultTimeoutError('id', 5),
    new WaitInsideTaskError('id'),
    new BrokerUnavailableError('away', 'id'),
  ])('makes a $name again', (error) => {
    const revived = new ErrorRegistry().revive(stored(error));

    expect(revived).toBeInstanceOf(error.constructor);
    expect(revived).toBeInstanceOf(Error);
    expect(revived instanceof TaskQueueError).toBe(error instanceof TaskQueueError);
    expect(revived).toMatchObject({ name: error.name, message: error.message, stack: error.stack });
    expect((revived as { code?: unknown }).code).toBe((error as { code?: unknown }).code);
  });

  it('makes one of a registered class again, with its own data and methods, and without its constructor', () => {
    const registry = new ErrorRegistry([PaymentDeclined]);
    const constructed = jest.fn();
    class Counted extends Error {
      override readonly name = 'Counted';
      constructor() {
        super('counted');
        constructed();
      }
    }
    registry.add(Counted);

    const revived = registry.revive(stored(new PaymentDeclined(7))) as PaymentDeclined;
    const counted = registry.revive(stored(new Counted()));

    expect(revived).toBeInstanceOf(PaymentDeclined);
    expect([revived.amount, revived.doubled, revived.made]).toEqual([7, 14, 'by the constructor']);
    expect(counted).toBeInstanceOf(Counted);
    expect(constructed).toHaveBeenCalledTimes(1);
  });

  it('gives what it does not know as a RemoteTaskError with everything of the original', () => {
    const cause = Object.assign(new Error('card expired'), { name: 'CardExpired' });
    const error = Object.assign(new PaymentDeclined(7, { cause }), { code: 'E42' });

    const revived = new ErrorRegistry().revive(stored(error)) as RemoteTaskError;

    expect(revived).toBeInstanceOf(RemoteTaskError);
    expect(revived).toMatchObject({
      name: 'PaymentDeclined',
      message: 'declined: 7',
      stack: error.stack,
      originalCode: 'E42',
      data: { amount: 7 },
      cause: { name: 'CardExpired', message: 'card expired' },
    });
  });

  it('makes causes again, each of its own class', () => {
    const error = new NonRetryableError('outer', {
      cause: new RangeError('middle', { cause: new PaymentDeclined(1) }),
    });

    const revived = new ErrorRegistry([PaymentDeclined]).revive(stored(error));

    const middle = revived.cause as Error;
    expect(middle).toBeInstanceOf(RangeError);
    expect(middle.cause).toBeInstanceOf(PaymentDeclined);
  });

  it.each([
    'GroupError',
    'ChordError',
    'RemoteTaskError',
    'Error',
    'Object',
    'constructor',
    '__proto__',
    'toString',
  ])('no stored name such as %s decides which code runs', (name) => {
    const revived = new ErrorRegistry().revive({ name, message: 'm' });
    expect(revived).toBeInstanceOf(RemoteTaskError);
    expect(revived).toMatchObject({ name, message: 'm' });
  });

  it('own data cannot replace name, message, stack or code, nor reach a prototype', () => {
    const data = JSON.parse(
      '{"name":"x","message":"x","stack":"x","__proto__":{"polluted":true},"constructor":1}',
    ) as Record<string, never>;

    const revived = new ErrorRegistry().revive({
      name: 'RangeError',
      message: 'm',
      code: 'C',
      stack: 's',
      data,
    });

    expect(revived).toMatchObject({ name: 'RangeError', message: 'm', stack: 's', code: 'C' });
    expect(Object.getPrototypeOf(revived)).toBe(RangeError.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('an error without a stack has one that names it', () => {
    expect(new ErrorRegistry().revive({ name: 'TypeError', message: 'm' }).stack).toBe('TypeError: m');
  });

  it('what is added later under a name wins', () => {
    class RangeErrorOfOurs extends Error {}
    Object.defineProperty(RangeErrorOfOurs, 'name', { value: 'RangeError' });
    const registry = new ErrorRegistry([RangeErrorOfOurs]);
    expect(registry.revive({ name: 'RangeError', message: 'm' })).toBeInstanceOf(RangeErrorOfOurs);
  });
});
