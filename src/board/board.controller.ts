import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { All, Controller, Next, Req, Res, UseGuards } from '@nestjs/common';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { WorkflowService } from 'nestjs-task-queue';
import { BoardGuard } from './board.guard.js';

const PATH = 'queues';

/**
 * bull-board over the task queues. It is an Express application of its own; as the handler of a controller it stands
 * behind guards, which a middleware would not.
 */
@Controller(PATH)
@UseGuards(BoardGuard)
export class BoardController {
  readonly #server = new ExpressAdapter().setBasePath(`/${PATH}`);
  readonly #board = createBullBoard({
    queues: [],
    serverAdapter: this.#server,
    options: { uiConfig: { boardTitle: 'Licence audit' } },
  });

  constructor(private readonly workflows: WorkflowService) {}

  @All(['', '*path'])
  async show(@Req() request: Request, @Res() response: Response, @Next() next: NextFunction): Promise<void> {
    const queues = await this.workflows.queues();
    this.#board.replaceQueues(
      // Its buttons know nothing of canvases: retrying or removing a part by hand is not for everybody who may look.
      queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    );
    // The board knows its pages by what follows its path.
    request.url = request.url.replace(new RegExp(`^/${PATH}/?`), '/');
    (this.#server.getRouter() as RequestHandler)(request, response, next);
  }
}
