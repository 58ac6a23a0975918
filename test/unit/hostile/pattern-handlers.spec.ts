/**
 * Hostile messages, from a seed, to the pattern handlers of a microservice, as a client could send them: each is refused by
 * name or answered intact, each event reaches all of its handlers or none, and the next message is answered.
 */
import { isDeepStrictEqual } from 'node:util';
import { Controller, type INestApplication } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { InvalidMessageException } from '@nestjs/microservices/errors/invalid-message.exception.js';
import { Test } from '@nestjs/testing';
import { firstValueFrom } from 'rxjs';
import {
  type AsyncResult,
  type CodecRoles,
  type TaskCodec,
  TaskQueueError,
  WorkflowService,
} from 'nestjs-task-queue';
import {
  type TaskQueueClient,
  TaskQueueMicroserviceModule,
  TaskQueueRecord,
  TaskQueueServer,
} from 'nestjs-task-queue/microservice';
import { TaskQueueTestingModule, TestTaskQueue } from 'nestjs-task-queue/testing';
import { forgedValue, Hostile } from '../../support/hostile.js';
import { tagged } from '../../support/tagged-codec.js';
import { HOSTILE_SEED, watchPrototypes } from './prototypes.js';

/** A part of ten thousand messages, which has an application of its own. */
const PART = 1_000;

@Controller()
class Doors {
  answered = 0;
  heard = 0;

  @MessagePattern('echo')
  echo(@Payload() payload: unknown): unknown {
    this.answered++;
    return payload;
  }

  @EventPattern('told')
  told(_payload: unknown): void {
    this.heard++;
  }

  @EventPattern('told')
  toldAgain(_payload: unknown): void {
    this.heard++;
  }
}

async function start(codec: TaskCodec | CodecRoles | undefined): Promise<INestApplication> {
  const module = await Test.createTestingModule({
    imports: [
      TaskQueueTestingModule.forRoot({ maxSteps: 1_000_000, ...(codec === undefined ? {} : { codec }) }),
      TaskQueueMicroserviceModule.register(),
      TaskQueueMicroserviceModule.registerClient({ name: 'CLIENT' }),
    ],
    controllers: [Doors],
  }).compile();
  module.useLogger(false);
  const app = module.createNestApplication({ logger: false });
  app.connectMicroservice({ strategy: app.get(TaskQueueServer) });
  await app.startAllMicroservices();
  await app.init();
  return app;
}

/** A payload: anything, what JSON carries, what others send, or what no codec has written. */
function payloadOf(hostile: Hostile): { readonly payload: unknown; readonly isForged: boolean } {
  const kind = hostile.below(10);
  if (kind < 3) return { payload: forgedValue(hostile, ['tagged-1', 'nobody']), isForged: true };
  if (kind < 5) return { payload: hostile.value(), isForged: false };
  return { payload: kind < 6 ? hostile.envelope() : hostile.json(), isForged: false };
}

/** Refused by name: by the client, where it is published, or where it is read. */
function isRefusal(error: unknown): boolean {
  if (error instanceof InvalidMessageException) return true;
  return error instanceof TaskQueueError && error.code !== 'RESULT_TIMEOUT';
}

describe('hostile messages to pattern handlers', () => {
  watchPrototypes();
  let app: INestApplication;
  afterEach(() => app.close());

  it.each([
    ['no codec', undefined, [0, 1, 2, 3, 4, 5]],
    ['a codec', tagged, [6, 7]],
    ['a codec that is only read', { read: [tagged] }, [8, 9]],
  ] as const)(
    'under %s are refused or handled, and nothing is lost',
    async (_name, codec, parts) => {
      for (const part of parts) {
        app = await start(codec);
        const count = { answered: 0, heard: 0, refused: 0 };
        for (let seed = HOSTILE_SEED + part * PART; seed < HOSTILE_SEED + (part + 1) * PART; seed++) {
          try {
            count[await deliver(new Hostile(seed), codec)]++;
          } catch (cause) {
            throw new Error(`seed ${seed}`, { cause });
          }
        }
        expect(count.answered + count.heard + count.refused).toBe(PART);
        expect(Math.min(count.answered, count.heard, count.refused)).toBeGreaterThan(PART / 50);
        expect(app.get(TestTaskQueue).idle).toBe(true);
        expect(await firstValueFrom(client().send('echo', 'still here'))).toBe('still here');
        if (part !== parts.at(-1)) await app.close();
      }
    },
    600_000,
  );

  const client = () => app.get<TaskQueueClient>('CLIENT');

  /** Sends one message, and says what it came to. */
  async function deliver(
    hostile: Hostile,
    codec: TaskCodec | CodecRoles | undefined,
  ): Promise<'answered' | 'heard' | 'refused'> {
    const isEvent = hostile.chance(0.25);
    const { payload, isForged } = payloadOf(hostile);
    const message = hostile.chance(0.1)
      ? new TaskQueueRecord(payload, { headers: { hostile: hostile.json(2) } })
      : payload;
    try {
      if (isEvent) return await tell(message);
      const answer: unknown = await firstValueFrom(client().send('echo', message));
      const isRead = isForged && codec !== undefined && 'read' in codec;
      if (!isRead && !isIntact(answer, payload, codec === tagged)) throw new Error('not carried intact');
      return 'answered';
    } catch (error) {
      if (isRefusal(error)) return 'refused';
      throw error;
    }
  }

  /** JSON gives every object the usual prototype; the codec that writes tells them apart. */
  function isIntact(answer: unknown, payload: unknown, isWritten: boolean): boolean {
    if (isDeepStrictEqual(answer, payload ?? null)) return true;
    return !isWritten && JSON.stringify(answer) === JSON.stringify(payload ?? null);
  }

  /** Emits one event: all of its handlers have heard it, or each that has not was told why it could not. */
  async function tell(message: unknown): Promise<'heard'> {
    const doors = app.get(Doors);
    const before = doors.heard;
    const event = await firstValueFrom(client().emit<AsyncResult<{ handlers: string }>>('told', message));
    const { handlers } = await event.get({ timeout: '60s' });
    const outcomes = await app.get(WorkflowService).groupResult(handlers).settled();
    const failed = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason.error.code] : []));
    expect(outcomes).toHaveLength(2);
    expect(failed.every((code) => code === 'UNDECODABLE_PAYLOAD')).toBe(true);
    expect(doors.heard - before).toBe(2 - failed.length);
    return 'heard';
  }
});
