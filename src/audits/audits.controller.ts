import {
  Body,
  Controller,
  Get,
  Header,
  HttpCode,
  HttpStatus,
  type MessageEvent,
  Param,
  Post,
  Res,
  Sse,
  SseSignal,
  StreamableFile,
  ValidationPipe,
} from '@nestjs/common';
import type { Response } from 'express';
import { concat, from, map, type Observable, of } from 'rxjs';
import { AuditIdPipe } from './audit-id.pipe.js';
import type { AuditView, StartedAudit } from './audit-view.js';
import { AuditsService } from './audits.service.js';
import { StartAuditDto } from './start-audit.dto.js';

/** The HTTP face of the audits. */
@Controller('audits')
export class AuditsController {
  constructor(private readonly audits: AuditsService) {}

  /** Starts an audit and answers at once; the work happens in the workers. */
  @Post()
  @HttpCode(HttpStatus.ACCEPTED)
  async start(
    @Body(new ValidationPipe({ transform: true, whitelist: true, forbidNonWhitelisted: true }))
    request: StartAuditDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<StartedAudit> {
    const started = await this.audits.start(request);
    response.location(started.links.self);
    return started;
  }

  /** What became of an audit. A failed one is an answer like every other. */
  @Get(':id')
  show(@Param('id', AuditIdPipe) id: string): Promise<AuditView> {
    return this.audits.show(id);
  }

  /** State and counts as they change. The last event has the type `end`: an EventSource would come back for ever. */
  @Sse(':id/events')
  async events(
    @Param('id', AuditIdPipe) id: string,
    @SseSignal() signal: AbortSignal,
  ): Promise<Observable<MessageEvent>> {
    const moments = await this.audits.watch(id, signal);
    return concat(from(moments).pipe(map((data) => ({ data }))), of({ type: 'end', data: {} }));
  }

  /** The report as a document. */
  @Get(':id/report')
  @Header('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; sandbox")
  @Header('X-Content-Type-Options', 'nosniff')
  async report(@Param('id', AuditIdPipe) id: string): Promise<StreamableFile> {
    const document = await this.audits.report(id);
    return new StreamableFile(document.createReadStream(), { type: 'text/html; charset=utf-8' });
  }
}
