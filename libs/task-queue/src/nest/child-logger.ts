import type { LoggerService } from '@nestjs/common';
import { inspect } from 'node:util';
import type { FromChild, LogLevel } from '../pool/protocol.js';

/** What Nest says while an application starts, in every child again. */
const OF_THE_START = new Set([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
]);

/** Hands the lines of a child's loggers to its worker, whose logger writes them. */
export class ChildLogger implements LoggerService {
  constructor(private readonly send: (message: FromChild) => void) {}

  log = (message: unknown, ...more: unknown[]): void => this.#line('log', message, more);
  warn = (message: unknown, ...more: unknown[]): void => this.#line('warn', message, more);
  debug = (message: unknown, ...more: unknown[]): void => this.#line('debug', message, more);
  verbose = (message: unknown, ...more: unknown[]): void => this.#line('verbose', message, more);
  fatal = (message: unknown, ...more: unknown[]): void => this.#line('fatal', message, more);
  error = (message: unknown, ...more: unknown[]): void => this.#line('error', message, more);

  /** Nest adds the context as the last parameter, and takes a stack before it for an error. */
  #line(level: LogLevel, message: unknown, more: unknown[]): void {
    const rest = [...more];
    const context = typeof rest.at(-1) === 'string' ? String(rest.pop()) : undefined;
    const given = level === 'error' && typeof rest.at(-1) === 'string' ? String(rest.pop()) : undefined;
    const stack = given ?? (message instanceof Error ? message.stack : undefined);
    if (level === 'log' && context !== undefined && OF_THE_START.has(context)) return;
    const text = [message, ...rest]
      .filter((part) => part !== undefined)
      .map(show)
      .join(' ');
    this.send({
      say: 'line',
      level,
      text,
      ...(context === undefined ? {} : { context }),
      ...(stack === undefined ? {} : { stack }),
    });
  }
}

function show(part: unknown): string {
  if (typeof part === 'string') return part;
  return part instanceof Error ? `${part.name}: ${part.message}` : inspect(part, { depth: 4 });
}
