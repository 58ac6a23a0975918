import type { JobRef } from '../../../libs/task-queue/src/backend/job-ref.js';
import type { FoundTask } from '../../../libs/task-queue/src/backend/job-store.js';
import type { NodeRecord } from '../../../libs/task-queue/src/backend/ledger.js';
import type { Refill } from '../../../libs/task-queue/src/backend/refills.js';
import type { MemoryJob } from '../../../libs/task-queue/src/memory/memory-job.js';
import { putBack } from '../../../libs/task-queue/src/memory/memory-redrive.js';
import { CLOSED } from './closed-scenarios.js';
import type { Planted } from './defects.js';
import type { PlantedDefect } from './planted.js';
import { CANVAS_ID } from './scenario.js';
import type { Case } from './scenarios.js';
import { EARLY, WIDELY } from './wide-scenarios.js';

const right = ({ command, args }: Planted): unknown => command(...args);
const headerOf = ({ store }: Planted): MemoryJob | undefined =>
  store.job({ queue: '_canvas', id: CANVAS_ID });

/** Members come back, whatever has become of them and of their header. */
function putBackAnyway(planted: Planted): void {
  const header = headerOf(planted);
  if (header === undefined) return;
  for (const member of (planted.args[0] as Refill).rerun) putBack(planted.store, member, header);
}

const EARLIER = EARLY['a chord that is redriven while it fails'];
const ENDING: Case | undefined = EARLIER && { ...EARLIER, from: ({ isEnding }) => isEnding };

/** What can be wrong with redrives that take several steps, or come early. */
export const PLANTED_REDRIVES: Readonly<Record<string, PlantedDefect>> = {
  'a second caller puts back what somebody has put back': {
    at: WIDELY['a wide chord that two put back at the same time'],
    losses: 0,
    defects: {
      'refills.putBack': (planted) => {
        putBackAnyway(planted);
        return 'open';
      },
    },
  },
  'a step of a redrive does not look whether its lease is over': {
    at: WIDELY['a wide chord whose lease runs out while it is put back'],
    losses: 0,
    defects: {
      'refills.putBack': (planted) => {
        if (headerOf(planted)?.refill === undefined) putBackAnyway(planted);
        return right(planted);
      },
    },
  },
  'a step of a redrive does not look for a revocation': {
    at: WIDELY['a wide chord that is revoked while it is put back'],
    losses: 0,
    defects: {
      'refills.putBack': async (planted) => {
        const { fields } = planted.store.openRecord(CANVAS_ID);
        const mark = fields.get(`x:${CANVAS_ID}`);
        fields.delete(`x:${CANVAS_ID}`);
        const answer = await right(planted);
        if (mark !== undefined) fields.set(`x:${CANVAS_ID}`, mark);
        return answer;
      },
    },
  },
  'a header is let go before all of it is put back': {
    at: WIDELY['a wide chord that two put back at the same time'],
    losses: 0,
    defects: {
      'refills.renew': (planted) => {
        const header = headerOf(planted);
        if (header !== undefined) planted.store.letGo(header);
      },
    },
  },
  'a header that is whole is not let go': {
    at: WIDELY['a wide chord that two put back at the same time'],
    losses: 0,
    defects: { 'refills.finish': () => 'over' },
  },
  'a lease that runs out leaves set aside what was not put back': {
    at: WIDELY['a wide chord whose caller is lost while it is put back'],
    defects: { 'refills.giveUp': () => undefined },
  },
  'a redrive gives up what the next one has set aside': {
    isLong: true,
    at: WIDELY['a wide chord whose header was closed, and that two begin at the same time'],
    losses: 0,
    defects: { 'refills.giveUp': ({ command, args: [node] }) => command(node) },
  },
  'a sentinel gives up what the next generation has set aside': {
    isLong: true,
    at: WIDELY['a wide chord that is closed and redriven while somebody has its sentinel'],
    losses: 0,
    defects: { 'refills.giveUp': ({ command, args: [node] }) => command(node) },
  },
  'a worker that was lost lets a later generation go': {
    isLong: true,
    at: WIDELY['a wide chord whose closing worker is lost, and that is redriven'],
    defects: { 'publisher.letGo': ({ command, args: [node] }) => command(node) },
  },
  'what is cancelled for the closing of a header is gone': {
    at: CLOSED['a closed chord whose cancelled member is redriven'],
    losses: 0,
    defects: { 'jobs.withdraw': ({ args: [job], store }) => store.withdraw(job as JobRef) },
  },
  'what comes late to a closed header is not kept': {
    at: CLOSED['a closed chord whose late member has returned, and that is redriven'],
    losses: 0,
    defects: {
      'headers.keepLate': (planted) => {
        const header = headerOf(planted);
        if (header !== undefined) header.late = { values: new Map(), failures: new Map() };
        return true;
      },
    },
  },
  'a redrive does not wait for members of a closed header that go on': {
    at: CLOSED['a closed chord whose late member has returned, and that is redriven'],
    losses: 0,
    defects: {
      'jobs.find': (planted) => (planted.by === 'redrive' ? undefined : right(planted)),
      'ledger.readNode': async (planted) => ({
        ...((await right(planted)) as NodeRecord),
        ...(planted.by === 'redrive' && { isLateKept: true }),
      }),
    },
  },
  'a redrive leaves the mark of the closing': {
    at: CLOSED['a closed chord whose member is run again by workers that are lost'],
    defects: {
      'publisher.reopen': async (planted) => {
        const { fields } = planted.store.openRecord(CANVAS_ID);
        const marks = [...fields].filter(([field]) => field.startsWith('x:'));
        const answer = await right(planted);
        for (const [field, mark] of marks) fields.set(field, mark);
        return answer;
      },
    },
  },
  'a worker that was lost cancels members of a later generation': {
    at: CLOSED['a closed chord whose closing worker is lost, and whose cancelled member is redriven'],
    defects: {
      'headers.cancelStraggler': ({ args: [, member], store }) => {
        store.openRecord(CANVAS_ID).fields.set(`x:${(member as JobRef).id}`, 'closed');
        return true;
      },
      // Nor is it told that the member is in a later generation.
      'jobs.find': async (planted) => {
        const { generation: _untold, ...task } = ((await right(planted)) ?? {}) as Partial<FoundTask>;
        return task.name === undefined ? undefined : task;
      },
    },
  },
  'a worker that was lost takes away a member that is marked no more': {
    at: CLOSED['a closed chord whose closing worker is lost, and whose cancelled member is redriven'],
    defects: { 'jobs.withdraw': ({ args: [job], store }) => store.withdraw(job as JobRef, 'revoked') },
  },
  'a redrive begins before the generation before has ended': {
    isLong: true,
    at: ENDING,
    losses: 0,
    defects: {
      'jobs.look': async (planted) => {
        const reply = (await right(planted)) as { readonly source: string };
        return planted.by === 'redrive' && reply.source === 'job' ? { ...reply, place: 'failed' } : reply;
      },
      'publisher.reopen': (planted) => {
        const root = headerOf(planted);
        if (root !== undefined) root.place = 'failed';
        return right(planted);
      },
    },
  },
};
