import { Module } from '@nestjs/common';
import { BoardController } from './board.controller.js';
import { BoardGuard } from './board.guard.js';

/** Shows queues, tasks and canvases to whoever operates this application. */
@Module({ controllers: [BoardController], providers: [BoardGuard] })
export class BoardModule {}
