import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  NotFoundException,
  UnauthorizedException,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { createHash, timingSafeEqual } from 'node:crypto';
import { AppConfig } from '../config.js';

/**
 * Lets in who knows BOARD_CREDENTIALS, by HTTP Basic authentication. Where the variable is not set there is no board,
 * in whatever environment: what the queues hold is nobody's business by default.
 */
@Injectable()
export class BoardGuard implements CanActivate {
  readonly #expected: Buffer | undefined;

  constructor({ boardCredentials }: AppConfig) {
    this.#expected = boardCredentials === '' ? undefined : digest(boardCredentials);
  }

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const { method, originalUrl, headers } = http.getRequest<Request>();
    // What Nest says of a path that it does not know.
    if (this.#expected === undefined) throw new NotFoundException(`Cannot ${method} ${originalUrl}`);
    const [, encoded = ''] = /^Basic +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
    // Digests are of one length, and take one time to compare.
    if (timingSafeEqual(digest(Buffer.from(encoded, 'base64').toString()), this.#expected)) return true;
    http.getResponse<Response>().setHeader('WWW-Authenticate', 'Basic realm="task queues", charset="UTF-8"');
    throw new UnauthorizedException();
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
