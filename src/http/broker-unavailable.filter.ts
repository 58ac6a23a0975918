import { type ArgumentsHost, Catch, type ExceptionFilter, ServiceUnavailableException } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { BrokerUnavailableError } from 'nestjs-task-queue';

const RETRY_AFTER_SECONDS = 5;

/**
 * Redis is away: the client is told to come back, instead of being shown an internal error.
 *
 * A global filter also stands around tasks. There the error is passed on, so that the task fails with it.
 */
@Catch(BrokerUnavailableError)
export class BrokerUnavailableFilter implements ExceptionFilter<BrokerUnavailableError> {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: BrokerUnavailableError, host: ArgumentsHost): void {
    if (host.getType() !== 'http') throw error;
    const response = host.switchToHttp().getResponse<unknown>();
    // The error's own message may name hosts; it is for the log and not for clients.
    const answer = new ServiceUnavailableException('The task queue cannot be reached. Try again later.');
    this.host.httpAdapter.setHeader(response, 'Retry-After', String(RETRY_AFTER_SECONDS));
    this.host.httpAdapter.reply(response, answer.getResponse(), answer.getStatus());
  }
}
