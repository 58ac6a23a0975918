import type { Logger } from '@nestjs/common';
import type { EngineLog, LogFields } from '../execution/engine-log.js';
import type { ResolvedLogging } from '../options/task-queue-options.js';

/**
 * Writes the engine's lines through Nest's Logger, and so through whatever logger the application has: a text, and what
 * the line is about, in the form that its logger reads.
 */
export class NestLog implements EngineLog {
  constructor(
    private readonly logger: Logger,
    private readonly options: ResolvedLogging,
  ) {}

  log(message: string, about?: LogFields): void {
    this.#write('log', message, about);
  }

  warn(message: string, about?: LogFields): void {
    this.#write('warn', message, about);
  }

  debug(message: string, about?: LogFields): void {
    this.#write('debug', message, about);
  }

  error(message: string, stack?: string, about?: LogFields): void {
    if (about === undefined || this.options.form === 'text') this.logger.error(message, stack);
    else if (this.options.form === 'params') this.logger.error(message, stack, about);
    else
      this.logger.error({
        [this.options.messageKey]: message,
        ...about,
        ...(stack === undefined ? {} : { stack }),
      });
  }

  #write(level: 'log' | 'warn' | 'debug', message: string, about: LogFields | undefined): void {
    if (about === undefined || this.options.form === 'text') this.logger[level](message);
    else if (this.options.form === 'params') this.logger[level](message, about);
    else this.logger[level]({ [this.options.messageKey]: message, ...about });
  }
}
