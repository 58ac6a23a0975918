/** Tasks of values that JSON loses, for both sides of a process pool. */
import { deserialize, serialize } from 'superjson';
import { Outcomes, Retry, Task, type TaskCodec, TaskContext, Tasks } from 'nestjs-task-queue';

export const superjson: TaskCodec = { id: 'superjson', encode: serialize, decode: deserialize };

export class Overdue extends Error {
  override name = 'Overdue';
  constructor(
    readonly since: Date,
    readonly owed: bigint,
  ) {
    super('overdue');
  }
}

@Tasks({ queue: 'rich' })
export class RichTasks {
  @Task()
  same(value: unknown): unknown {
    return value;
  }

  @Task()
  kind(value: object): string {
    return `${value.constructor.name} in ${process.pid}`;
  }

  @Task()
  async tells(at: Date, task: TaskContext): Promise<void> {
    await task.progress({ at });
  }

  @Task()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 0 } })
  again(at: Date, task: TaskContext): Date {
    if (at.getTime() === 1) return at;
    task.retry({ countdown: 0, args: [new Date(1)] });
  }

  @Task()
  refuses(at: Date): never {
    throw new Overdue(at, 7n);
  }

  @Task()
  async pages(members: Outcomes<Date>): Promise<Date[]> {
    const dates: Date[] = [];
    for await (const at of members.values()) dates.push(new Date(at.getTime() + 1));
    return dates;
  }

  @Task()
  replaced(at: Date, task: TaskContext): never {
    task.replace({ toJSON: () => ({ kind: 'task', task: 'RichTasks.same', args: [at] }) } as never);
  }
}
