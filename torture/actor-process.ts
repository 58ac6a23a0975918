/**
 * A process that plays a worker or a producer. It is warm as soon as its modules are loaded, and becomes the one or the
 * other in a moment when it is told to.
 */
import 'reflect-metadata';
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type CanvasData,
  RedriveRefusedError,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  WorkflowService,
} from 'nestjs-task-queue';
import { CanvasRunner } from '../test/support/reference-runner.js';
import { RunLog } from '../test/support/reference-tasks.js';
import { watchFetches } from './fetches.js';
import type { Order, Told } from './orders.js';
import { SendingLog } from './reference-log.js';
import { NOTES, TortureTasks } from './tasks.js';

let app: INestApplicationContext | undefined;
let notes: Redis | undefined;
const rightClock = Date.now;

/** Plays until the parent is gone. */
export function play(): void {
  watchFetches();
  process.once('disconnect', () => process.exit(0));
  process.on('message', (order: Order) => {
    const answer = (told: Omit<Told, 'nr'>): void => void process.send?.({ nr: order.nr, ...told });
    carryOut(order).then(
      () => answer({}),
      (error: unknown) => answer({ error: String(error) }),
    );
  });
  process.send?.({ nr: 0 });
}

async function carryOut(order: Order): Promise<void> {
  switch (order.do) {
    case 'work':
      notes = new Redis(order.notesUrl);
      notes.on('error', () => undefined);
      return start(order.options, [
        { provide: NOTES, useValue: notes },
        TortureTasks,
        ...CanvasRunner.providers,
        { provide: RunLog, useValue: new SendingLog(notes) },
      ]);
    case 'produce':
      return start(order.options, []);
    case 'publish':
      return order.isStreamed ? stream(order.id, order.canvas) : publish(order.id, order.canvas);
    case 'redrive':
      return redrive(order.id, order.after);
    case 'jump':
      Date.now = () => rightClock() + order.ms;
      return;
    case 'answer':
      return;
    case 'rest':
      await app?.close();
      notes?.disconnect();
      app = notes = undefined;
      Date.now = rightClock;
  }
}

async function start(options: TaskQueueModuleOptions, providers: NonNullable<Providers>): Promise<void> {
  class ActorModule {}
  Module({ imports: [TaskQueueModule.forRoot(options)], providers })(ActorModule);
  app = await NestFactory.createApplicationContext(ActorModule, { logger: ['fatal'], abortOnError: false });
}
type Providers = Parameters<typeof Module>[0]['providers'];

function workflows(): WorkflowService {
  if (app === undefined) throw new Error('has become nothing yet');
  return app.get(WorkflowService);
}

async function publish(taskId: string, canvas: CanvasData): Promise<void> {
  await (workflows().fromData(canvas) as unknown as Publishable).applyAsync([], { taskId });
}

/** Reads the header from a source with pauses, so that it is published in several chunks. */
async function stream(taskId: string, canvas: CanvasData): Promise<void> {
  if (canvas.kind !== 'chord') throw new Error('only a chord is streamed');
  const { header, body } = canvas;
  const source = async function* () {
    for (const [index, member] of header.entries()) {
      if (index % 2 === 0) await pause(30);
      yield workflows().fromData(member);
    }
  };
  const chord = workflows().chord(source as never, workflows().fromData(body) as never);
  const handle = await (chord as unknown as Publishable).applyAsync([], { taskId });
  await handle.sealed?.();
}

/** Members may go on past a header that was closed: they have to end first. */
async function redrive(id: string, after: number): Promise<void> {
  for (;;) {
    try {
      await workflows().redrive(id, { after });
      return;
    } catch (error) {
      if (!(error instanceof RedriveRefusedError) || error.reason !== 'running') throw error;
      await pause(100);
    }
  }
}

interface Publishable {
  applyAsync(args: readonly never[], options: object): Promise<{ sealed?(): Promise<number> }>;
}
