import type { Type } from '@nestjs/common';
import type { ControlMessage } from '../../libs/task-queue/src/backend/control.js';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';

interface App {
  get<T>(type: Type<T>): T;
}

export type Revoking = Extract<ControlMessage, { revoke: string }>;

/** Loses what is said to workers about revocations, and keeps it: what a worker says later that is paused now. */
export function keepWhatIsSaid(app: App): Revoking[] {
  const kept: Revoking[] = [];
  const { control } = app.get(TaskQueueEngine);
  const send = control.send.bind(control);
  jest.spyOn(control, 'send').mockImplementation(async (message) => {
    if ('revoke' in message) kept.push(message);
    else await send(message);
  });
  return kept;
}

export function say(app: App, message: Revoking): Promise<void> {
  return app.get(TaskQueueEngine).control.send(message);
}

/** Revokes a task by its mark alone: nobody is told of it. */
export async function mark(app: App, id: string): Promise<void> {
  await app.get(TaskQueueEngine).ledger.markRevoked(id, undefined);
}

/**
 * Has somebody cancel, with `terminate`, what had not ended when the first generation of a header was closed, who is paused when he
 * has marked the first of them, and has not looked what it is.
 *
 * @returns what lets him go on, and resolves when he is through
 */
export async function pauseAfterMark(app: App, id: string): Promise<() => Promise<void>> {
  const { revocation, backend } = app.get(TaskQueueEngine);
  const { jobs } = backend;
  const find = jobs.find.bind(jobs);
  let goOn = (): void => undefined;
  const isThere = new Promise<void>((resolve) => {
    jest.spyOn(jobs, 'find').mockImplementationOnce(async (job) => {
      resolve();
      await new Promise<void>((go) => (goOn = go));
      return find(job);
    });
  });
  const cancelled = revocation.cancelStragglers({ id, generation: 0 }, { terminate: true });
  await isThere;
  return () => {
    goOn();
    return cancelled;
  };
}
