import type { Dispatch, Publisher, Standing } from '../backend/publisher.js';
import type { CanvasData, ChordData, GroupData } from '../canvas/canvas-data.js';
import type { StoredValues } from '../codec/stored-values.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { DispatchIncompleteError } from '../errors/task.errors.js';
import type { CanvasAnnouncer } from '../execution/canvas-announcer.js';
import type { EngineLog } from '../execution/engine-log.js';
import { serializeError } from '../failure/serialize-error.js';
import { compileMember, compileNode, type CompileContext, isJudged } from '../flow/compile-canvas.js';
import { chunkSize, type FlowPlan } from '../flow/flow-plan.js';
import { CANVAS_QUEUE } from '../flow/ids.js';
import { pause } from '../primitives/bounded.js';
import { MemberSource } from './member-source.js';

/** What is to be dispatched. */
export interface DispatchOrder {
  readonly id: string;
  /** The group or chord, without its members where they are read from a source. */
  readonly canvas: GroupData | ChordData;
  readonly members: Iterable<unknown> | AsyncIterable<unknown>;
  /** How many there are, where that is known. */
  readonly total?: number;
  /** Makes a member of what the source gave. What it throws ends the dispatch, as what the source throws does. */
  readonly read: (item: unknown, index: number) => CanvasData;
  /** Members that may be published and not have ended; the source is not read on while there are more. */
  readonly window: number;
  /** How long a store that is away is waited for before the dispatch is given up, to be resumed. */
  readonly patienceMs: number;
}

/** What dispatching needs. */
export interface DispatcherDeps {
  readonly publisher: Publisher;
  readonly context: () => CompileContext;
  readonly isRevoked: (id: string) => Promise<boolean>;
  /** Takes back what was added to a canvas that is revoked. */
  readonly takeBack: (id: string) => Promise<void>;
  /** Has a header judged by its budget. */
  readonly judge: (id: string) => Promise<void>;
  readonly values: StoredValues;
  readonly log: EngineLog;
  readonly tell: CanvasAnnouncer;
}

/** A dispatch that has been opened and goes on by itself. */
export interface RunningDispatch {
  /** Resolves with the number of members when all of them are there. */
  readonly sealed: Promise<number>;
  readonly eager: boolean;
}

/** How often a producer that has nothing to add looks whether it still may, and renews its lease. */
const LOOK_EVERY_MS = 5_000;
/** How soon room in the window is looked for. */
const WINDOW_POLL_MS = { first: 10, max: 250 } as const;
const STORE_RETRY_MS = 500;

/**
 * Publishes the members of wide groups and chords while they are read.
 *
 * One chunk is read while the one before is on its way to the store, and nothing is read further ahead. The body, or
 * whatever waits for the canvas, is held until the header is sealed. A dispatch that stops before that, because its
 * process dies or the application is closed, is resumed by publishing again under the same id.
 */
export class Dispatcher {
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(private readonly deps: DispatcherDeps) {}

  /** @throws BrokerUnavailableError, DispatchIncompleteError when the canvas has ended without all of its members */
  async begin(order: DispatchOrder): Promise<RunningDispatch> {
    const { id, canvas, total } = order;
    let dispatch: Dispatch;
    try {
      const node = compileNode(canvas, id, this.deps.context(), total ?? 0);
      dispatch = await this.deps.publisher.open(node, total);
    } catch (error) {
      new MemberSource(order.members).close();
      throw error;
    }
    this.deps.tell.published(id, canvas.kind, CANVAS_QUEUE);
    const sealed = this.#run(order, dispatch);
    sealed.then((size) => this.deps.tell.sealed(id, canvas.kind, size)).catch(() => undefined); // said below
    this.#running.add(sealed);
    sealed
      .catch((error: unknown) => this.deps.log.warn(`The dispatch of ${id} ended: ${String(error)}`))
      .finally(() => this.#running.delete(sealed));
    return { sealed, eager: dispatch.eager };
  }

  /** Stops reading. What is under way is left as it is, to be resumed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#running);
  }

  async #run(order: DispatchOrder, dispatch: Dispatch): Promise<number> {
    const end = new AbortController();
    const signal = AbortSignal.any([end.signal, this.#stopping.signal]);
    const source = new MemberSource(order.members);
    const watch = this.#watch(dispatch, end);
    try {
      let standing = dispatch.begin;
      if (standing.is === 'open') standing = await this.#addAll(order, dispatch, source, signal);
      return await this.#conclude(order, standing);
    } finally {
      clearInterval(watch);
      end.abort();
      source.close();
    }
  }

  /** While the source is slow, the lease is renewed all the same; and who has lost the dispatch stops waiting for it. */
  #watch(dispatch: Dispatch, end: AbortController): NodeJS.Timeout {
    const look = async (): Promise<void> => {
      const { is } = await dispatch.renew();
      if (is !== 'open') end.abort();
    };
    return setInterval(() => void look().catch(() => undefined), LOOK_EVERY_MS).unref();
  }

  async #addAll(
    order: DispatchOrder,
    dispatch: Dispatch,
    source: MemberSource,
    signal: AbortSignal,
  ): Promise<Standing> {
    const reading = new Reading(order, source, this.deps.context, signal);
    let standing = dispatch.begin;
    // Those that are there already: only a wide one among them may have been cut off.
    while (reading.index < standing.cursor && !signal.aborted) {
      const read = await reading.next(Math.min(chunkSize(reading.index), standing.cursor - reading.index));
      if (!signal.aborted && read.plans.length === 0)
        return this.#fail(
          order,
          dispatch,
          read.trouble ?? new Error(shorter(standing.cursor, reading.index)),
        );
      for (const plan of read.plans) await dispatch.complete(plan);
    }
    let adding: Promise<Standing> | undefined;
    while (!signal.aborted) {
      const { plans, trouble } = await reading.next(Math.min(chunkSize(reading.index), order.window));
      dispatch.prepare(plans);
      if (adding !== undefined) standing = await adding;
      if (trouble !== undefined && standing.is === 'open') return this.#fail(order, dispatch, trouble);
      if (plans.length === 0) break;
      standing = await this.#room(order, dispatch, standing, plans.length, signal);
      if (standing.is !== 'open') return standing;
      if (signal.aborted) break;
      adding = this.#add(order, dispatch, plans, standing.cursor, signal);
      // It is awaited after the next chunk has been read.
      adding.catch(() => undefined);
    }
    if (signal.aborted) return dispatch.renew();
    return standing.is === 'open' ? dispatch.seal() : standing;
  }

  async #fail({ id }: DispatchOrder, dispatch: Dispatch, error: unknown): Promise<never> {
    await dispatch.fail(serializeError(error, (value) => this.deps.values.writeIfPossible(value)));
    throw incomplete(id, 'its source threw', error);
  }

  /** A store that is away is waited for. The cursor tells whether a chunk whose answer was lost has got there. */
  async #add(
    { patienceMs }: DispatchOrder,
    dispatch: Dispatch,
    plans: readonly FlowPlan[],
    cursor: number,
    signal: AbortSignal,
  ): Promise<Standing> {
    const deadline = performance.now() + patienceMs;
    let isKnown = true;
    for (;;) {
      try {
        if (!isKnown) {
          const standing = await dispatch.renew();
          if (standing.is !== 'open' || standing.cursor > cursor) return standing;
        }
        return await dispatch.add(plans);
      } catch (error) {
        if (!(error instanceof BrokerUnavailableError) || performance.now() >= deadline || signal.aborted)
          throw error;
        isKnown = false;
        await pause(STORE_RETRY_MS, signal);
      }
    }
  }

  /** Waits until fewer members are under way than may be. */
  async #room(
    { window }: DispatchOrder,
    dispatch: Dispatch,
    standing: Standing,
    count: number,
    signal: AbortSignal,
  ): Promise<Standing> {
    let now = standing;
    let waitMs: number = WINDOW_POLL_MS.first;
    while (now.is === 'open' && now.pending + count > window && !signal.aborted) {
      await pause(waitMs, signal);
      waitMs = Math.min(WINDOW_POLL_MS.max, waitMs * 2);
      now = await dispatch.renew();
    }
    return now;
  }

  async #conclude({ id, canvas, total }: DispatchOrder, { is, cursor }: Standing): Promise<number> {
    switch (is) {
      case 'sealed':
        // A revocation that came before the seal may not have seen the last members.
        if (await this.deps.isRevoked(id)) await this.deps.takeBack(id);
        // Only now it is known what a percentage is a share of.
        if (total === undefined && isJudged(canvas)) await this.deps.judge(id);
        return cursor;
      case 'revoked':
        await this.deps.takeBack(id);
        return cursor;
      case 'superseded':
      case 'closed':
        return cursor;
      case 'over':
        throw new DispatchIncompleteError(
          `Canvas ${id} has ended: its producer stopped after ${cursor} members and nobody went on within the lease. ` +
            `Publish it under another id.`,
        );
      case 'open':
        throw incomplete(id, `the application was closed after ${cursor} members`);
    }
  }
}

/** Members as they are read, made ready to be published. */
class Reading {
  /** How many have been read. */
  index = 0;

  constructor(
    private readonly order: DispatchOrder,
    private readonly source: MemberSource,
    private readonly context: () => CompileContext,
    private readonly signal: AbortSignal,
  ) {}

  /** The next members; none at the end, or with what ended them. */
  async next(count: number): Promise<{ readonly plans: FlowPlan[]; readonly trouble?: unknown }> {
    const { canvas, id, read } = this.order;
    try {
      const items = await this.source.next(count, this.signal);
      const context = this.context();
      const plans = items.map((item, at) =>
        compileMember(canvas, id, this.index + at, read(item, this.index + at), context),
      );
      this.index += plans.length;
      return { plans };
    } catch (error) {
      return { plans: [], trouble: error ?? new Error(String(error)) };
    }
  }
}

function incomplete(id: string, why: string, cause?: unknown): DispatchIncompleteError {
  const remedy = cause === undefined ? `: publish it again with { taskId: '${id}' } to go on.` : '.';
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new DispatchIncompleteError(
    `The members of ${id} were not all published, because ${why}${reason}${remedy}`,
    cause === undefined ? undefined : { cause },
  );
}

function shorter(cursor: number, length: number): string {
  return (
    `${cursor} members had been published when the canvas was taken up again, and the source has only ${length}. ` +
    `It has to give the same members in the same order each time.`
  );
}
