/** The handlers of random canvases note what they do as those of the suite do: where no fault can take it away. */
import type { Redis } from 'ioredis';
import type { TaskContext } from 'nestjs-task-queue';
import { type RecordedCallback, RunLog } from '../test/support/reference-tasks.js';
import { fetchedHere } from './fetches.js';
import { canvasOf, notesOf, type Run } from './tasks.js';

/** What a callback of a random canvas was given. */
export interface CallbackNote {
  readonly callback: RecordedCallback;
}

/** In a worker: sends what it is told to Redis. Handlers do not wait for that; it is on its way before their end is. */
export class SendingLog extends RunLog {
  constructor(private readonly redis: Redis) {
    super();
  }

  override ran({ id, name, attempt, item, redriven }: TaskContext): void {
    const generation = redriven?.generation ?? 0;
    const fetch = fetchedHere();
    this.#note(id, {
      task: name,
      id,
      attempt,
      generation,
      ...(fetch === undefined ? {} : { fetch }),
      ...(item === undefined ? {} : { item }),
    });
  }

  override recorded(callback: RecordedCallback): void {
    this.#note(callback.id, { callback });
  }

  override hook(): void {
    // Hooks are nobody's business here.
  }

  #note(id: string, note: Run | CallbackNote): void {
    this.redis.rpush(notesOf(canvasOf(id)), JSON.stringify(note)).catch(() => undefined);
  }
}
