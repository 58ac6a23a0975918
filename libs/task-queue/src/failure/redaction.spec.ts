import { compileRedaction, REDACTED, REDACTED_KEYS, redactFailure } from './redaction.js';
import type { TaskFailure } from './task-failure.js';

const failure: TaskFailure = {
  request: {
    id: '0~a',
    name: 'charge',
    args: [{ card: { number: '4111', holder: 'Ada' }, api_key: 'k-1' }, 'plain'],
    headers: { Authorization: 'Bearer x', trace: 't' },
    queue: 'default',
    attempt: 1,
    workflowId: '0~a',
    position: '',
  },
  error: {
    name: 'HttpError',
    message: 'refused with key k-1',
    stack: 'HttpError: refused with key k-1',
    data: { status: 401, request: { headers: { Cookie: 'c' } } },
    cause: { name: 'Inner', message: 'm', data: { 'access-token': 't' } },
  },
  reason: 'error',
  at: '2026-01-01T00:00:00.000Z',
};

describe('redaction', () => {
  it('hides the usual keys unless told otherwise, whatever their case, at every depth and in causes', () => {
    const { request, error } = redactFailure(failure, compileRedaction());
    expect(request.args).toEqual([{ card: { number: '4111', holder: 'Ada' }, api_key: REDACTED }, 'plain']);
    expect(request.headers).toEqual({ Authorization: REDACTED, trace: 't' });
    expect(error.data).toEqual({ status: 401, request: { headers: { Cookie: REDACTED } } });
    expect(error.cause?.data).toEqual({ 'access-token': REDACTED });
    expect(error.message).toBe('refused with key k-1'); // a text that somebody wrote
  });

  it.each(REDACTED_KEYS)('hides %s', (key) => {
    const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const redact = compileRedaction();
    expect(redact('args', [{ [key]: 1, [snake.toUpperCase()]: { deep: 1 }, [`${key}s`]: 1 }])).toEqual([
      { [key]: REDACTED, [snake.toUpperCase()]: REDACTED, [`${key}s`]: 1 },
    ]);
  });

  it('hides what paths name, and nothing else', () => {
    const redact = compileRedaction(['args[0].card.number', 'args[1]', 'headers.trace', 'error.data.status']);
    const { request, error } = redactFailure(failure, redact);
    expect(request.args).toEqual([{ card: { number: REDACTED, holder: 'Ada' }, api_key: 'k-1' }, REDACTED]);
    expect(request.headers).toEqual({ Authorization: 'Bearer x', trace: REDACTED });
    expect(error.data?.['status']).toBe(REDACTED);
    expect(compileRedaction(['args[*].pin'])('args', [{ pin: 1 }, { pin: 2, other: 3 }])).toEqual([
      { pin: REDACTED },
      { pin: REDACTED, other: 3 },
    ]);
  });

  it('asks a function for every plain value, messages and stacks too; one that throws hides', () => {
    const seen: string[] = [];
    const redact = compileRedaction((path, value) => {
      seen.push(path);
      if (path === 'error.stack') throw new Error('broken');
      return typeof value === 'string' ? value.replaceAll('k-1', '***') : value;
    });
    const { request, error } = redactFailure(failure, redact);
    expect(error.message).toBe('refused with key ***');
    expect(error.stack).toBe(REDACTED);
    expect(request.args[0]).toMatchObject({ api_key: '***' });
    expect(seen).toEqual(
      expect.arrayContaining(['args[0].card.number', 'args[1]', 'headers.trace', 'error.data.status']),
    );
  });

  it('changes nothing in place, copies only what it changes, and can be turned off', () => {
    const before = JSON.stringify(failure);
    const redact = compileRedaction();
    redactFailure(failure, redact);
    expect(JSON.stringify(failure)).toBe(before);
    const args = [{ a: { b: 1 } }];
    expect(redact('args', args)).toBe(args);
    expect(compileRedaction(false)('args', failure.request.args)).toBe(failure.request.args);
  });

  it('carries a key __proto__ as a key', () => {
    const args = JSON.parse(
      '[{"__proto__":{"token":1},"constructor":{"prototype":{"token":2}}}]',
    ) as object[];
    const redacted = compileRedaction()('args', args);
    expect(JSON.stringify(redacted)).toBe(
      `[{"__proto__":{"token":"${REDACTED}"},"constructor":{"prototype":{"token":"${REDACTED}"}}}]`,
    );
    expect('token' in {}).toBe(false);
  });
});
