import { ResultUnknownError } from '../errors/result.errors.js';
import { foundIn, type TaskEnvelope } from '../flow/envelope.js';
import { planTaskRedrive } from '../flow/redrive.js';
import { AsyncResult } from '../results/async-result.js';
import { callOf } from './ended-canvas.js';
import { notYet, type RedriveOutcome, refused } from './redrive-outcome.js';
import type { TaskQueueEngine } from './task-queue-engine.js';

/**
 * Redrives tasks that stand alone and were replaced by a canvas: as a member that was replaced, such a task is run again as a
 * whole, and may put another canvas in its place. It has no dead letter of its own, out of which it could be retried. Once
 * redriven, it has generations, whether it is replaced in them or not.
 */
export class TaskRedrive {
  constructor(private readonly engine: TaskQueueEngine) {}

  /** @throws RedriveRefusedError, ResultUnknownError, InvalidOptionsError, BrokerUnavailableError */
  async begin<R>(id: string, after: number | undefined): Promise<RedriveOutcome<R>> {
    const { backend, clock, publisher, tellCanvas } = this.engine;
    const result = new AsyncResult<R>(id, this.engine);
    let expected = after;
    for (;;) {
      const reply = await backend.jobs.look(id);
      if (reply.source !== 'job') throw new ResultUnknownError(id);
      const { queue, place } = reply;
      const [failed] = place === 'failed' ? await backend.jobs.readFailed([{ queue, id }]) : [];
      // It has been put back, or has gone, since it was looked at.
      if (place === 'failed' && failed === undefined) continue;
      const found = failed && foundIn((failed.data ?? {}) as Partial<TaskEnvelope>);
      const { generation = 0, replacedBy } = found ?? (await backend.jobs.find({ queue, id })) ?? {};
      if (generation === 0 && replacedBy === undefined)
        throw refused(
          id,
          'task',
          'it is a task that stands alone: workflows.deadLetters.retry(id) runs it again',
        );
      if (expected !== undefined && generation !== expected) {
        if (generation < expected) throw notYet(expected, generation);
        return { result, generation: expected + 1, begun: false, rerun: [], left: [] };
      }
      if (place === 'completed') throw refused(id, 'succeeded', 'nothing in it failed');
      if (failed === undefined) {
        const which = generation === 0 ? 'it' : `its generation ${generation}`;
        throw refused(id, 'running', `${which} has not ended`);
      }
      if (await backend.ledger.isRevoked(id))
        throw refused(id, 'revoked', 'it was revoked; publish it again');
      const rerun = planTaskRedrive({ kind: 'task', queue, id, call: callOf(failed) }, generation + 1);
      if (rerun === undefined) throw refused(id, 'gone', 'its call cannot be read; publish it again');
      const nowMs = clock.wallMs();
      const reopened = await publisher.reopen({ rerun, planned: failed.text, nowMs });
      if (reopened === 'expired') throw new ResultUnknownError(id);
      if (reopened === 'reopened') {
        tellCanvas.redriven(id, failed.name, { generation: generation + 1, changed: [] }, 1);
        return { result, generation: generation + 1, begun: true, rerun: [id], left: [] };
      }
      // Whoever was faster has begun the generation that was asked for.
      expected = generation;
    }
  }
}
