import type { LoggerService } from '@nestjs/common';
import { writeSync } from 'node:fs';

/** Keeps the log out of the way of the progress: in a file, whole, for whoever wants to know. */
export class FileLogger implements LoggerService {
  constructor(private readonly file: number) {}

  log = (message: unknown, ...rest: unknown[]): void => this.#write('LOG', message, rest);
  error = (message: unknown, ...rest: unknown[]): void => this.#write('ERROR', message, rest);
  warn = (message: unknown, ...rest: unknown[]): void => this.#write('WARN', message, rest);
  debug = (message: unknown, ...rest: unknown[]): void => this.#write('DEBUG', message, rest);

  /** Nest hands over the message, then a stack if there is one, then the context. */
  #write(level: string, message: unknown, rest: unknown[]): void {
    const [context = '', ...details] = rest.map(String).reverse();
    const text = message instanceof Error ? (message.stack ?? message.message) : String(message);
    const lines = [`${new Date().toISOString()} ${level.padEnd(5)} [${context}] ${text}`, ...details];
    writeSync(this.file, `${lines.join('\n')}\n`);
  }
}
