import type { Stage } from '../backend/ledger.js';
import type { Reopened, Reopening } from '../backend/publisher.js';
import type { NodeEnvelope } from '../flow/envelope.js';
import type { FlowPlan } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId, parentOf } from '../flow/ids.js';
import { isHeaderAnew, type KeptStage, type Rerun } from '../flow/redrive.js';
import { firstStepOf } from '../flow/refill.js';
import { generationOf } from '../task/redriven.js';
import { flowJob, withSentinels } from './flow-jobs.js';
import type { OwnWrites } from './joint-client.js';
import type { DispatchTools } from './redis-dispatch.js';
import type { RedisKeys } from './redis-keys.js';
import { CLEAR_FOR_RERUN, IS_AS_PLANNED } from './scripts/redrive.js';
import { runScript } from './scripts/script.js';

/**
 * Puts parts of a canvas that has ended back, in one transaction under WATCH of its root and of the tasks that failed: their
 * old jobs are taken away, and BullMQ adds them anew as a tree. The lists of the nodes, in which the values of their other
 * children are, lie under keys of their own and stay. So there is no moment in which the canvas is half open, and of two who
 * try it at the same time one finds that it has changed.
 *
 * Of one that is wide these are the nodes that are, held back by sentinels: their members follow (`redis-refills.ts`).
 */
export async function reopen(
  { rerun: whole, planned, nowMs }: Reopening,
  tools: DispatchTools,
): Promise<Reopened> {
  const { keys, producers, transactions } = tools;
  const rerun = firstStepOf(whole);
  const { id: root, queue } = rerun.job;
  const prefix = keys.prefixOf(root);
  const all = [...jobsOf(rerun)];
  const tasks = all.filter(({ job }) => job.queue !== CANVAS_QUEUE).map(({ job }) => job);
  const held = new Set(all.filter(({ isHeld }) => isHeld).map(({ job }) => job.id));
  const generation = generationOf(rerun.job.data as NodeEnvelope);
  const plan = planOf(rerun);
  await tools.announce([plan]);
  const look = [prefix, queue, root, planned, nowMs, ...tasks.flatMap(({ queue, id }) => [queue, id])];
  const clear = [prefix, root, ...all.flatMap(clearing)];
  const answer = await transactions.run<'changed' | 'expired'>({
    id: root,
    keys: [keys.job(queue, root), ...tasks.map(({ queue, id }) => keys.job(queue, id))],
    look: async (client) => {
      const isAsPlanned = await runScript(
        client,
        IS_AS_PLANNED,
        [keys.job(queue, root), keys.expiry(prefix)],
        look,
      );
      if (isAsPlanned === 1) return undefined;
      return isAsPlanned === -1 ? 'expired' : 'changed';
    },
    first: {
      script: CLEAR_FOR_RERUN,
      keys: [keys.record(root), keys.expiry(prefix), ...keys.letters(prefix)],
      args: clear,
    },
    additions: [
      () =>
        producers.flow(root, 'ledger').add(withSentinels(flowJob(plan, keys, []), keys, held, generation)),
    ],
    write: (own) => {
      writeNodes(all, own, keys);
      if (held.size === 0) return;
      for (const id of held) own.set(keys.node(id), { 'tq:again': generation });
      own.set(keys.node(root), { 'tq:refills': JSON.stringify([...held]) });
      own.set(keys.record(root), { again: 1 });
    },
  });
  return answer === 'done' ? 'reopened' : answer;
}

/** What is noted of nodes beside their data. */
export function writeNodes(reruns: readonly Rerun[], own: OwnWrites, keys: RedisKeys): void {
  for (const { job, stage, size, part } of reruns) {
    const fields = {
      ...(stage === undefined ? {} : { 'tq:stage': JSON.stringify(stageOf(stage)) }),
      ...(size === undefined ? {} : { 'tq:size': size }),
      ...(part === undefined ? {} : { 'tq:dispatched': part, 'tq:closed': 1 }),
    };
    if (Object.keys(fields).length > 0) own.set(keys.node(job.id), fields);
  }
}

export function* jobsOf(rerun: Rerun): Generator<Rerun> {
  yield rerun;
  for (const child of rerun.children) yield* jobsOf(child);
}

/** What the script takes away for a job, and of a chord the body that is superseded. */
export function clearing(rerun: Rerun): string[] {
  const { job, keepsDecision, drops, isAmended, isHeld } = rerun;
  const kind = isAmended === true ? 'amending' : 'late';
  const late = isHeaderAnew(rerun) ? [kind, CANVAS_QUEUE, childId(job.id, 'late'), job.id] : [];
  const own = [kindOf({ job, keepsDecision, isHeld }), job.queue, job.id, parentOf(job.id) ?? ''];
  const dropped = drops === undefined ? [] : ['dropped', drops.queue, drops.id, job.id];
  // What was late is among what failed before that is set aside.
  return [...late, ...own, ...dropped];
}

function kindOf({ job, keepsDecision, isHeld }: Pick<Rerun, 'job' | 'keepsDecision' | 'isHeld'>): string {
  if (job.queue !== CANVAS_QUEUE) return 'task';
  if (isHeld === true) return 'held';
  return keepsDecision === true ? 'decided' : 'node';
}

/** One tree, which is none of the wide ones: those have been taken apart. */
export function planOf({ job, children }: Rerun): FlowPlan {
  return { job, children: children.map(planOf), size: 1 };
}

function stageOf(stage: KeptStage): Stage {
  return { ...stage, state: 'added' };
}
