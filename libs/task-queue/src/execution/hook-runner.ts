import type { Delivery, Verdict } from '../backend/delivery.js';
import type { FailureStore } from '../backend/failure-store.js';
import type { Publisher } from '../backend/publisher.js';
import { makeSignature } from '../canvas/signature.js';
import type { StoredValues } from '../codec/stored-values.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { compileCanvas, type CompileContext } from '../flow/compile-canvas.js';
import type { HookEnvelope } from '../flow/envelope.js';
import { CANVAS_QUEUE, memberIndex, parentOf, releasedId } from '../flow/ids.js';
import type { TaskReader } from '../results/task-reader.js';
import type { TaskSnapshot } from '../results/task-snapshot.js';
import type { HookKind, HookPayload } from '../task/task-definition.js';
import { generationIn, generationOf } from '../task/redriven.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { isTerminal } from '../task/task-state.js';
import type { EngineLog } from './engine-log.js';

/** How long a hook waits for the end that it was released for, between two looks. */
const NOT_YET_MS = 250;
const INDEX: Readonly<Record<HookEnvelope['hook'], number>> = {
  failure: 0,
  success: 1,
  retry: 2,
  revoked: 3,
  stuck: 5,
  'dead-letter': 4,
  error: 6,
};

/**
 * Hooks are released before the task's end is stored and run after it: as a job of their own in the task's
 * queue, ahead of what waits there. So a crash between the two loses no hook, and a hook whose task came to
 * another end after all (the attempt was run again) finds that out and does nothing.
 *
 * A hook that throws is logged and changes nothing.
 */
export class HookRunner {
  constructor(
    private readonly publisher: Publisher,
    private readonly reader: TaskReader,
    private readonly registry: TaskRegistry,
    private readonly failures: FailureStore,
    private readonly context: () => CompileContext,
    private readonly values: StoredValues,
    private readonly log: EngineLog,
  ) {}

  async publish(
    task: Pick<Delivery, 'id' | 'name' | 'queue'> & {
      readonly data?: unknown;
      readonly generation?: number | undefined;
    },
    kind: HookEnvelope['hook'],
    what: Pick<HookEnvelope, 'failure' | 'args' | 'headers'>,
  ): Promise<void> {
    const generation = task.generation ?? generationIn(task.data);
    const about = { hook: kind, task: task.name, taskId: task.id, ...what };
    const data: HookEnvelope = { v: 1, ...about, ...(generation === undefined ? {} : { generation }) };
    await this.publisher.publishOnce({
      job: {
        id: releasedId(task.id, 'hook', INDEX[kind], generation),
        queue: task.queue,
        name: task.name,
        data,
        // What is kept in the canvas queue goes with its canvas; this belongs to none.
        retention: task.queue === CANVAS_QUEUE ? 'parent' : 'age',
        lifo: true,
      },
      children: [],
      size: 1,
    });
  }

  async run(envelope: HookEnvelope): Promise<Verdict> {
    try {
      return await this.#run(envelope);
    } catch (error) {
      if (!(error instanceof BrokerUnavailableError)) throw error;
      return { do: 'give-back', delayMs: NOT_YET_MS };
    }
  }

  async #run(envelope: HookEnvelope): Promise<Verdict> {
    const { hook, task, taskId, failure, args = [], headers, generation } = envelope;
    const snapshot = await this.reader.read(taskId).catch(() => undefined);
    if (failure !== undefined && (await this.#isOvertaken(taskId, generation, snapshot))) {
      await this.callNow(task, hook as HookKind, failure);
      return { do: 'complete', value: null };
    }
    if (snapshot === undefined || !isOver(snapshot)) {
      return { do: 'give-back', delayMs: NOT_YET_MS };
    }
    if (hook === 'dead-letter') {
      if (snapshot.state !== 'SUCCESS') await this.#handleLetter(task, taskId, generation);
    } else if (hook === 'success') {
      if (snapshot.state === 'SUCCESS') {
        const success = {
          id: taskId,
          name: task,
          args,
          value: snapshot.value ?? null,
          ...(headers === undefined ? {} : { headers }),
          ...(generation === undefined ? {} : { generation }),
        };
        await this.callNow(task, 'success', success);
      }
    } else if (snapshot.state !== 'SUCCESS') {
      const record = snapshot.failure ?? failure;
      if (record) await this.callNow(task, hook, record);
    }
    return { do: 'complete', value: null };
  }

  /**
   * Whether the failure that a hook was released for stands, and the task has been run again since by a redrive: what it
   * comes to then is for the hooks of that generation.
   */
  async #isOvertaken(
    id: string,
    generation: number = 0,
    snapshot: TaskSnapshot | undefined,
  ): Promise<boolean> {
    const { request } = snapshot?.failure ?? {};
    const parent = parentOf(id);
    if (parent === undefined || (request !== undefined && (request.generation ?? 0) === generation))
      return false;
    const above = await this.reader.node(parent);
    if (above === undefined || generationOf(above) <= generation) return false;
    // What succeeded is not run again: it is not among those that its node was put back for.
    const index = memberIndex(id);
    return !Number.isInteger(index) || above.redriven?.changed.includes(index) === true;
  }

  /** Each handler is a task of its own with a fixed id: published once, although this may run twice. */
  async #handleLetter(task: string, id: string, generation: number | undefined): Promise<void> {
    const letter = await this.failures.read(id);
    if (letter === undefined) return;
    const { queue } = letter.failure.request;
    for (const [index, handler] of this.registry.letterHandlersOf(task, queue).entries()) {
      const call = makeSignature(handler.task, [letter], { immutable: true, taskQueue: handler.queue });
      const release = releasedId(id, 'letter', index, generation);
      await this.publisher.publishOnce(compileCanvas(call, release, this.context()));
    }
  }

  /** Calls the hooks of a task, one after the other. */
  async callNow(task: string, kind: HookKind, about: HookPayload): Promise<void> {
    const hooks = this.registry.hooksOf(task, kind);
    if (hooks.length === 0) return;
    const payload = this.values.readIfPossible(about);
    for (const hook of hooks) {
      try {
        await hook.invoke(payload);
      } catch (error) {
        this.log.error(
          `Hook ${hook.source} threw; the outcome of ${task} stays as it is: ${String(error)}`,
          error instanceof Error ? error.stack : undefined,
          { task, hook: hook.source, ...('request' in payload ? { taskId: payload.request.id } : {}) },
        );
      }
    }
  }
}

/** Whether the job has ended, if there still is one: what a node came to stands before that. */
function isOver({ state, name, finishedAt }: TaskSnapshot): boolean {
  if (state === 'UNKNOWN') return true;
  return isTerminal(state) && (name === undefined || finishedAt !== undefined);
}
