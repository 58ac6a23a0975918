import type { Type } from '@nestjs/common';
import type { HeaderStore } from '../../libs/task-queue/src/backend/header-store.js';
import type { JobRef } from '../../libs/task-queue/src/backend/job-ref.js';
import type { Ledger } from '../../libs/task-queue/src/backend/ledger.js';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';

interface App {
  get<T>(type: Type<T>): T;
}

/** What an application keeps of its headers. */
export function headersOf(app: App): HeaderStore {
  return app.get(TaskQueueEngine).backend.headers;
}

/** What it keeps beside its jobs. */
export function ledgerOf(app: App): Ledger {
  return app.get(TaskQueueEngine).backend.ledger;
}

/** Takes a job out of its queue, as somebody does by hand. */
export async function takeAway(app: App, job: JobRef): Promise<void> {
  await app.get(TaskQueueEngine).backend.jobs.withdraw(job);
}

/** Whether somebody has noted that the deadline of a chord has passed. */
export async function isDue(app: App, chord: string): Promise<boolean> {
  return (await app.get(TaskQueueEngine).ledger.readNode(chord)).isDue;
}

/** Stops the first timer that comes due, before it looks whether its time has come and after it. */
export function stopTimer(app: App): TimerStop {
  const headers = headersOf(app);
  const times = headers.times.bind(headers);
  const [began, look, looked, go] = [gate(), gate(), gate(), gate()];
  jest.spyOn(headers, 'times').mockImplementationOnce(async (...which) => {
    began.open();
    await look.opened;
    const seen = await times(...which);
    looked.open();
    await go.opened;
    return seen;
  });
  return {
    hasBegun: began.opened,
    letLook: () => {
      look.open();
      return looked.opened;
    },
    letGo: go.open,
  };
}

export interface TimerStop {
  readonly hasBegun: Promise<void>;
  /** @returns when it has looked */
  letLook(): Promise<void>;
  readonly letGo: () => void;
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
