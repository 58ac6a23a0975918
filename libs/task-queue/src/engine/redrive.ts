import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { RedriveRefusedError } from '../errors/redrive.errors.js';
import { ResultUnknownError } from '../errors/result.errors.js';
import { wholeOf } from '../flow/ids.js';
import {
  type EndedNode,
  type GoingOn,
  planRedrive,
  redrivenAfter,
  type RedrivePlan,
  type Rerun,
} from '../flow/redrive.js';
import { readObject } from '../options/option-readers.js';
import { pause } from '../primitives/bounded.js';
import type { JsonValue } from '../primitives/json.js';
import { AsyncResult } from '../results/async-result.js';
import { endedGeneration } from '../results/ended-generation.js';
import { generationOf } from '../task/redriven.js';
import { EndedCanvas, lookOf, type NodeLook } from './ended-canvas.js';
import { notYet, type RedriveOutcome, refused } from './redrive-outcome.js';
import { TaskRedrive } from './redrive-task.js';
import { Refiller } from './refiller.js';
import type { TaskQueueEngine } from './task-queue-engine.js';

/** Which generation is to begin. */
export interface RedriveOptions {
  /**
   * The redrive of this one, and no other: 0 is the first. A call that is repeated, because its answer was lost or because two
   * ask at the same time, then finds the generation begun instead of a canvas that runs. Amendments by late members are no
   * redrives: after one the generation that begins is the one behind it. @defaultValue the last one
   */
  readonly after?: number;
}

/** What is to be run again, of which there is something. */
type Planned = Pick<RedrivePlan, 'tasks' | 'left'> & { readonly rerun: Rerun };

/** What a canvas came to stands a moment before its job has ended; and an amendment may be over soon. */
const END_MS = 5_000;
const LOOK_AGAIN_MS = 25;

/** Begins new generations of canvases that have ended: what failed in them is run again, what has a value stays. */
export class Redrive {
  readonly #ended: EndedCanvas;
  readonly #refiller: Refiller;
  readonly #tasks: TaskRedrive;

  /** @param wait lets the time pass between two looks */
  constructor(
    private readonly engine: TaskQueueEngine,
    private readonly wait: (ms: number) => Promise<void> = pause,
  ) {
    this.#ended = new EndedCanvas(engine.backend);
    this.#refiller = new Refiller(engine.backend, this.#ended);
    this.#tasks = new TaskRedrive(engine);
  }

  /**
   * Begins the next generation, or goes on with one that somebody has begun and not put back as a whole.
   *
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
    let from = after;
    for (;;) {
      const root = await this.#look(id, from);
      if (root === undefined) return this.#tasks.begin(id, after);
      const generation = generationOf(root.node);
      if (from !== undefined && generation < from) throw notYet(from, generation);
      const next = from === undefined ? undefined : redrivenAfter(root.node, from);
      if (next !== undefined)
        return { result, generation: next, begun: false, ...(await this.#refiller.fill(id)) };
      if (root.isUnfinished) return { result, generation, begun: false, ...(await this.#refiller.fill(id)) };
      const plan = await this.#plan(id, root).catch(async (error: unknown) => {
        if (error instanceof RedriveRefusedError && (await this.#isPast(id, generation))) return undefined;
        throw error;
      });
      // Whoever was faster has begun the generation that is asked for, or late members have amended this one.
      from ??= generation;
      if (plan === undefined) continue;
      const nowMs = clock.wallMs();
      const reopened = await publisher.reopen({ rerun: plan.rerun, planned: root.data, nowMs });
      if (reopened === 'expired') throw new ResultUnknownError(id);
      if (reopened === 'reopened') {
        tellCanvas.redriven(
          id,
          root.reply.job.name,
          { generation: generation + 1, changed: [] },
          plan.tasks.length,
        );
        await this.#refiller.fill(id);
        return { result, generation: generation + 1, begun: true, rerun: plan.tasks, left: plan.left };
      }
    }
  }

  /** What is to run again. @throws RedriveRefusedError when nothing is */
  async #plan(id: string, root: NodeLook): Promise<Planned> {
    const { backend, clock } = this.engine;
    const record = await backend.ledger.readNode(id);
    if (record.revoked) throw refused(id, 'revoked', 'it was revoked; publish it again');
    const generation = generationOf(root.node);
    const ended = endedGeneration(generation, root.reply, clock.wallMs());
    for (let isSecond = false; ; isSecond = true) {
      const tree = await this.#ended.read(id, root);
      const { rerun, goingOn, ...plan } = planRedrive(tree, generation + 1, ended);
      const [closed] = goingOn;
      if (closed === undefined) {
        if (rerun === undefined) throw nothing(id, root, tree);
        return { ...plan, rerun };
      }
      const isOver = goingOn.every(({ pending }) => pending === 0);
      if (!isOver || isSecond) throw goesOn(id, closed);
      for (const node of goingOn) await this.#kept(id, node);
    }
  }

  /** Waits until it is kept what the last members of a closed header came to, which have ended. */
  async #kept(id: string, node: GoingOn): Promise<void> {
    for (let waitedMs = 0; await this.#ended.isHearing(node.id); waitedMs += LOOK_AGAIN_MS) {
      if (waitedMs >= END_MS) throw goesOn(id, node);
      await this.wait(LOOK_AGAIN_MS);
    }
  }

  /**
   * Whether the next generation has begun by now. What was read of this one is then half of the other: no
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

  /**
   * The root of a canvas that has ended; of one whose redrive from a generation has begun also while that runs. Undefined of
   * a task that stands alone.
   */
  async #look(
    id: string,
    from: number | undefined,
  ): Promise<(NodeLook & { readonly isUnfinished?: true }) | undefined> {
    for (let waitedMs = 0; ; waitedMs += LOOK_AGAIN_MS) {
      const reply = await this.engine.backend.jobs.look(id);
      if (reply.source !== 'job') throw new ResultUnknownError(id);
      const { node } = reply.job;
      if (node === undefined) return undefined;
      const look = lookOf(reply, node.data);
      const isOver = reply.place === 'failed' || reply.place === 'completed';
      if (isOver || (from !== undefined && redrivenAfter(look.node, from) !== undefined)) return look;
      if (generationOf(look.node) > 0 && (await this.#refiller.isUnfinished(id)))
        return { ...look, isUnfinished: true };
      const isSettled = reply.record !== undefined || reply.job.returnvalue !== undefined;
      // An amendment runs nothing but a body, and has begun since the generation ended from which this is asked for.
      const isOvertaken = from !== undefined && generationOf(look.node) > from;
      if (!(isSettled || isOvertaken) || waitedMs >= END_MS) {
        const generation = generationOf(look.node);
        const which = generation === 0 ? 'it' : `its generation ${generation}`;
        throw refused(id, 'running', `${which} has not ended`);
      }
      await this.wait(LOOK_AGAIN_MS);
    }
  }
}

/** Members of a header that was closed have not ended. */
function goesOn(id: string, { id: node, pending }: GoingOn): RedriveRefusedError {
  const members = pending === 1 ? '1 member goes on that was' : `${pending} members go on that were`;
  return refused(id, 'running', `${members} pending when the header of ${node} was closed`);
}

/** Why there is nothing to be run again. */
function nothing(id: string, { reply }: NodeLook, root: EndedNode): RedriveRefusedError {
  if (root.isOut || root.closed?.is === 'part')
    return refused(id, 'incomplete', 'its members were never all published; publish it again');
  const isWhole = root.failed.length === 0 && root.lost === undefined;
  if (reply.place === 'completed' && isWhole) return refused(id, 'succeeded', 'nothing in it failed');
  return refused(id, 'gone', 'what failed in it was revoked, or is not kept any more; publish it again');
}
