import { HttpException, HttpStatus } from '@nestjs/common';
import { InvalidArgumentsError } from '../../errors/task.errors.js';

const REFUSALS: readonly number[] = [HttpStatus.BAD_REQUEST, HttpStatus.UNPROCESSABLE_ENTITY];
const MAX_DETAILS = 2_000;

/**
 * Turns what pipes throw when they refuse a value (400, or 422) into an InvalidArgumentsError, which is never
 * retried and says what was wrong; the exception's own message is just "Bad Request Exception". Anything
 * else passes unchanged.
 */
export function withRefusalNamed(thrown: unknown): unknown {
  if (!(thrown instanceof HttpException) || !REFUSALS.includes(thrown.getStatus())) return thrown;
  const response: unknown = thrown.getResponse();
  return new InvalidArgumentsError(`The arguments were refused: ${detailsOf(response)}`, response, {
    cause: thrown,
  });
}

function detailsOf(response: unknown): string {
  const message =
    typeof response === 'object' && response !== null && 'message' in response ? response.message : response;
  const text =
    typeof message === 'string'
      ? message
      : Array.isArray(message) && message.every((part) => typeof part === 'string')
        ? message.join('; ')
        : (JSON.stringify(message) ?? 'no details');
  return text.length <= MAX_DETAILS ? text : `${text.slice(0, MAX_DETAILS)}…`;
}
