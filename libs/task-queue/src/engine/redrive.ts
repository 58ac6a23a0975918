import type { FailedJob } from '../backend/job-store.js';
import type { JobRef } from '../backend/job-ref.js';
import type { TaskReply } from '../backend/task-reply.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { type RedriveRefusal, RedriveRefusedError } from '../errors/redrive.errors.js';
import { ResultUnknownError } from '../errors/result.errors.js';
import { decodeNode, decodeTask } from '../flow/decode-envelope.js';
import type { NodeEnvelope } from '../flow/envelope.js';
import { CANVAS_QUEUE, rootOf, wholeOf } from '../flow/ids.js';
import {
  type EndedNode,
  type EndedTask,
  planRedrive,
  type RedrivePlan,
  type Rerun,
  sizeOfRerun,
} from '../flow/redrive.js';
import { readObject } from '../options/option-readers.js';
import { pause } from '../primitives/bounded.js';
import type { JsonValue } from '../primitives/json.js';
import { AsyncResult } from '../results/async-result.js';
import { endedGeneration } from '../results/ended-generation.js';
import { generationOf } from '../task/redriven.js';
import type { TaskQueueEngine } from './task-queue-engine.js';

/** Which generation is to begin. */
export interface RedriveOptions {
  /**
   * The one after this, and no other: 0 is the first. A call that is repeated, because its answer was lost or because two ask
   * at the same time, then finds the generation begun instead of a canvas that runs. @defaultValue the last one
   */
  readonly after?: number;
}

/** What became of a call to redrive a canvas. */
export interface RedriveOutcome<R = JsonValue> {
  /** The handle on the canvas, which waits for the end of its last generation. */
  readonly result: AsyncResult<R>;
  /** The generation that has begun. */
  readonly generation: number;
  /** Whether this call began it: somebody else may have been faster. */
  readonly begun: boolean;
  /** Ids of the tasks that are run again; empty when somebody else has begun it. */
  readonly rerun: readonly string[];
  /**
   * Ids of what failed and stays so: members that were revoked, and such as are not kept any more. The new generation
   * counts them as failed.
   */
  readonly left: readonly string[];
}

/** Parts that are put back in one transaction, which Redis carries out without a break. */
const MAX_RERUN = 2_000;
/** What a canvas came to stands a moment before its job has ended. */
const END_MS = 5_000;
const LOOK_AGAIN_MS = 25;

/** A composite as its job says: of the root, and of every node that failed below it. */
interface Look {
  readonly reply: Extract<TaskReply, { source: 'job' }>;
  readonly data: string;
  readonly node: NodeEnvelope;
}

/** Begins new generations of canvases that have ended: what failed in them is run again, what has a value stays. */
export class Redrive {
  constructor(private readonly engine: TaskQueueEngine) {}

  /**
   * @throws RedriveRefusedError, ResultUnknownError, InvalidOptionsError, BrokerUnavailableError
   */
  async begin<R = JsonValue>(id: string, options: RedriveOptions = {}): Promise<RedriveOutcome<R>> {
    const { after } = readObject('', options, ['after']);
    if (after !== undefined && !(Number.isSafeInteger(after) && after >= 0))
      throw new InvalidOptionsError('after', 'the number of a generation, from 0', after);
    if (wholeOf(id) !== id)
      throw refused(id, 'part', `it is a part of canvas ${wholeOf(id)}, which is redriven as a whole`);
    const { clock, publisher, tellCanvas } = this.engine;
    const result = new AsyncResult<R>(id, this.engine);
    let expected = after;
    for (;;) {
      const root = await this.#ended(id, expected);
      const generation = generationOf(root.node);
      if (expected !== undefined && generation !== expected) {
        if (generation < expected)
          throw new InvalidOptionsError(
            'after',
            `a generation that there is: the last one is ${generation}`,
            after,
          );
        return { result, generation: expected + 1, begun: false, rerun: [], left: [] };
      }
      const plan = await this.#plan(id, root).catch(async (error: unknown) => {
        if (error instanceof RedriveRefusedError && (await this.#isPast(id, generation))) return undefined;
        throw error;
      });
      if (plan === undefined) {
        expected = generation;
        continue;
      }
      const nowMs = clock.wallMs();
      if ((await publisher.reopen({ rerun: plan.rerun, planned: root.data, nowMs })) === 'reopened') {
        tellCanvas.redriven(
          id,
          root.reply.job.name,
          { generation: generation + 1, changed: [] },
          plan.tasks.length,
        );
        return { result, generation: generation + 1, begun: true, rerun: plan.tasks, left: plan.left };
      }
      // Whoever was faster has begun the generation that was asked for.
      expected = generation;
    }
  }

  /** What is to run again. @throws RedriveRefusedError when nothing is */
  async #plan(id: string, root: Look): Promise<RedrivePlan & { readonly rerun: Rerun }> {
    const { backend, clock } = this.engine;
    const record = await backend.ledger.readNode(id);
    if (record.revoked) throw refused(id, 'revoked', 'it was revoked; publish it again');
    const generation = generationOf(root.node);
    const ended = endedGeneration(generation, root.reply, clock.wallMs());
    const tree = await this.#read(id, root, { parts: 0 });
    const { rerun, ...plan } = planRedrive(tree, generation + 1, ended);
    if (rerun === undefined) throw nothing(id, root, tree);
    if (sizeOfRerun(rerun) > MAX_RERUN) throw tooWide(id);
    return { ...plan, rerun };
  }

  /**
   * Whether somebody else has begun the next generation by now. What was read of this one is then half of the other: no
   * reason to refuse anything.
   */
  async #isPast(id: string, generation: number): Promise<boolean> {
    const reply = await this.engine.backend.jobs.look(id);
    return (
      reply.source === 'job' &&
      reply.job.node !== undefined &&
      generationOf(lookOf(reply, reply.job.node.data).node) > generation
    );
  }

  /** The root of a canvas that has ended; of one in a later generation than expected also while that runs. */
  async #ended(id: string, expected: number | undefined): Promise<Look> {
    for (let waitedMs = 0; ; waitedMs += LOOK_AGAIN_MS) {
      const reply = await this.engine.backend.jobs.look(id);
      if (reply.source !== 'job') throw new ResultUnknownError(id);
      const { node } = reply.job;
      if (node === undefined)
        throw refused(
          id,
          'task',
          'it is a task that stands alone: workflows.deadLetters.retry(id) runs it again',
        );
      const look = lookOf(reply, node.data);
      const isOver = reply.place === 'failed' || reply.place === 'completed';
      if (isOver || (expected !== undefined && generationOf(look.node) > expected)) return look;
      const isSettled = reply.record !== undefined || reply.job.returnvalue !== undefined;
      if (!isSettled || waitedMs >= END_MS) {
        const generation = generationOf(look.node);
        const which = generation === 0 ? 'it' : `its generation ${generation}`;
        throw refused(id, 'running', `${which} has not ended`);
      }
      await pause(LOOK_AGAIN_MS);
    }
  }

  /** What is kept of a node that has ended, and of all that failed below it. */
  async #read(id: string, { node, reply }: Look, count: { parts: number }): Promise<EndedNode> {
    const { ledger, jobs } = this.engine.backend;
    const record = await ledger.readNode(id);
    const nodes: EndedNode[] = [];
    const tasks: JobRef[] = [];
    for await (const page of ledger.failedChildren(id)) {
      for (const child of page) {
        if (/\.(sentinel|hold)$/.test(child.id)) continue;
        if ((count.parts += 1) > MAX_RERUN) throw tooWide(rootOf(id));
        const below = child.queue === CANVAS_QUEUE ? await jobs.look(child.id) : undefined;
        if (below?.source !== 'job' || below.job.node === undefined) tasks.push(child);
        else nodes.push(await this.#read(child.id, lookOf(below, below.job.node.data), count));
      }
    }
    // The one child of a stage that is in neither list was removed by hand; its node knows what it was.
    const { child } = record.stage ?? {};
    if (child !== undefined && reply.job.node?.child === undefined) tasks.push(child);
    const { closing, dispatch, size, stage } = record;
    return {
      kind: 'node',
      id,
      node,
      ...(size === undefined ? {} : { size }),
      ...(stage === undefined ? {} : { stage: { ...stage } }),
      isOut:
        record.revoked || (closing === undefined && dispatch !== undefined && dispatch.state !== 'sealed'),
      ...(closing !== undefined && closing.pending > 0 ? { isClosed: true } : {}),
      failed: [...nodes, ...(await this.#tasks(tasks))],
    };
  }

  async #tasks(refs: readonly JobRef[]): Promise<EndedTask[]> {
    const { ledger, jobs } = this.engine.backend;
    const ids = refs.map(({ id }) => id);
    const [found, failures] = await Promise.all([jobs.readFailed(refs), ledger.readFailures(ids)]);
    return refs.map(({ queue, id }, at) => {
      const call = failures[at]?.reason === 'revoked' ? 'revoked' : callOf(found[at]);
      return { kind: 'task', queue, id, call };
    });
  }
}

/** Why there is nothing to be run again. */
function nothing(id: string, { reply }: Look, root: EndedNode): RedriveRefusedError {
  if (reply.place === 'completed' && root.failed.length === 0)
    return refused(id, 'succeeded', 'nothing in it failed');
  if (root.isClosed === true)
    return refused(id, 'closed', 'its header was closed while members were pending; publish it again');
  if (root.isOut) return refused(id, 'incomplete', 'its members were never all published; publish it again');
  return refused(id, 'gone', 'what failed in it was revoked, or is not kept any more; publish it again');
}

function tooWide(id: string): RedriveRefusedError {
  const advice = 'publish a canvas of the members that failed';
  return refused(id, 'too-wide', `more than ${MAX_RERUN} of its tasks and nodes failed; ${advice}`);
}

function refused(id: string, reason: RedriveRefusal, why: string): RedriveRefusedError {
  return new RedriveRefusedError(id, reason, `Canvas ${id} is not redriven: ${why}.`);
}

function lookOf(reply: Look['reply'], data: string): Look {
  return { reply, data, node: decodeNode(JSON.parse(data)) as NodeEnvelope };
}

/** The call that a job still holds, if it is one of ours. */
function callOf(job: FailedJob | undefined): EndedTask['call'] {
  if (job === undefined) return 'gone';
  try {
    const data = decodeTask(job.data);
    return 'hook' in data ? 'gone' : { ...job, data };
  } catch {
    return 'gone';
  }
}
