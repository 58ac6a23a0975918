import { isDeepStrictEqual } from 'node:util';
import type { WorkflowService } from 'nestjs-task-queue';
import type { Duplicates } from './duplicates.js';
import { type CanvasApp, inTurns } from './canvas-runner.js';
import { CanvasRunner, type Road } from './reference-runner.js';
import { nodesOf, type Ref } from './reference/canvas-model.js';
import { canvasOf } from './reference/canvas-of.js';
import { interpret } from './reference/interpret.js';
import { render } from './reference/render.js';
import { shrink } from './reference/shrink.js';
import { aftermathOf, idsIn, type Revocation, revocationOf, Revoker, targetOf } from './revocations.js';

const AT_ONCE = 60;
const ROADS: readonly Road[] = ['data', 'fluent', 'json'];

/** A random canvas, the road by which it is published, and what happens to it on its way. */
export interface Case {
  readonly seed: number;
  readonly canvas: Ref;
  readonly road: Road;
  /** Publishes it twice under one id. */
  readonly isTwice?: boolean;
  readonly revocation?: Revocation;
}

/** The canvases of so many seeds. */
export function randomCases(firstSeed: number, count: number): Case[] {
  return Array.from({ length: count }, (_, at): Case => {
    const seed = firstSeed + at;
    const canvas = canvasOf(seed);
    const adds = [...nodesOf(canvas)].some((node) => node.kind === 'task' && node.adds !== undefined);
    // What has been added when a group is revoked is a matter of moments.
    const revocation = seed % 5 === 3 && !adds ? { revocation: revocationOf(seed) } : {};
    const isTwice = seed % 10 === 7 ? { isTwice: true } : {};
    // A source that is still read gets no more members, and has one producer.
    const isStreamed = seed % 5 === 2 && isTwice.isTwice === undefined && !adds;
    return {
      seed,
      canvas,
      road: isStreamed ? 'streamed' : (ROADS[seed % ROADS.length] as Road),
      ...isTwice,
      ...revocation,
    };
  });
}

/** A canvas that went wrong, and what it came to. */
export interface Disagreement {
  readonly one: Case;
  readonly seen: unknown;
  readonly expected: unknown;
}

/** Runs random canvases in one application, and compares them with what the semantics say. */
export class RandomCanvases<App extends CanvasApp = CanvasApp> {
  readonly #revoker: Revoker;
  #runs = 0;

  /**
   * @param hearsAtOnce whether workers hear of a revocation before it resolves, so that nothing may begin after it; where
   *   they hear of it by Redis, what has left its queue by then may
   */
  constructor(
    readonly runner: CanvasRunner<App>,
    private readonly hearsAtOnce: boolean,
    /** Which of its jobs are handed out twice. */
    private readonly duplicates?: Duplicates,
  ) {
    this.#revoker = new Revoker(runner.app.workflows, runner.log);
  }

  /** @returns the id of each canvas that came to an end */
  async runAll(all: readonly Case[]): Promise<Map<Case, string>> {
    const ids = new Map<Case, string>();
    await inTurns(all, AT_ONCE, async (one) => void ids.set(one, await this.#run(one)));
    return ids;
  }

  /** The canvases that came to something else than the semantics say. To be asked when nothing waits or runs. */
  async disagreements(ids: ReadonlyMap<Case, string>): Promise<Disagreement[]> {
    const wrong: Disagreement[] = [];
    await inTurns([...ids], AT_ONCE, async ([one, id]) => {
      const found = await this.#compare(one, id);
      if (found !== undefined) wrong.push(found);
    });
    return wrong;
  }

  /** The seeds, and the first of them shrunk to the smallest canvas that still goes wrong. */
  async explain(wrong: readonly Disagreement[]): Promise<string> {
    const [first] = [...wrong].sort((a, b) => render(a.one.canvas).length - render(b.one.canvas).length);
    if (first === undefined) return '';
    const { canvas: _canvas, ...how } = first.one;
    let last = first;
    // What depends on the moment of a revocation, or of a second delivery, may go well once.
    const tries = how.revocation === undefined && this.duplicates === undefined ? 1 : 3;
    const { canvas } = await shrink(first.one.canvas, async (smaller) => {
      for (let turn = 0; turn < tries; turn += 1) {
        const found = await this.#runOne({ ...how, canvas: smaller });
        if (found === undefined) continue;
        last = found;
        return true;
      }
      return false;
    });
    return [
      `${wrong.length} canvases differ; seeds ${wrong.map(({ one }) => one.seed).join(', ')}`,
      `seed ${how.seed} (${JSON.stringify(how)}): ${render(first.one.canvas)}`,
      `shrunk: ${render(canvas)}`,
      ...(how.revocation === undefined ? [] : [`revoked: "${targetOf(canvas, how.revocation)}"`]),
      `expected: ${JSON.stringify(last.expected, undefined, 1)}`,
      `seen: ${JSON.stringify(last.seen, undefined, 1)}`,
    ].join('\n');
  }

  /** @returns the canvas's id, or why it came to no end */
  async #run(one: Case, timeout?: number): Promise<string> {
    const id = `case-${one.seed}-${(this.#runs += 1)}`;
    const { canvas, road, isTwice = false, revocation } = one;
    if (revocation !== undefined) this.#revoker.expect(id, canvas, revocation);
    try {
      await Promise.all(Array.from({ length: isTwice ? 2 : 1 }, () => this.runner.publish(canvas, road, id)));
      await this.#revoker.published(id);
      await this.runner.ended(id, timeout);
      return id;
    } catch (error) {
      return `no end: ${String(error)}`;
    }
  }

  async #runOne(one: Case): Promise<Disagreement | undefined> {
    // Without Redis nothing runs unless somebody waits for quiet.
    const run = this.#run(one, 5_000);
    let isOver = false;
    void run.finally(() => (isOver = true));
    do await this.runner.app.quiet().catch(() => undefined);
    while (!isOver);
    await this.runner.app.quiet().catch(() => undefined);
    return this.#compare(one, await run);
  }

  async #compare(one: Case, id: string): Promise<Disagreement | undefined> {
    if (id.startsWith('no end')) return { one, seen: id, expected: 'an end' };
    const { workflows } = this.runner.app;
    const after =
      one.revocation && (await aftermathOf(workflows, this.runner.log, id, one.canvas, one.revocation));
    const late = this.hearsAtOnce ? this.runner.log.of(id).late : [];
    const unsettled = one.revocation === undefined ? await unsettledOf(workflows, id, one.canvas) : [];
    const problems = [...(after?.problems ?? []), ...late, ...unsettled];
    const expected = { ...CanvasRunner.expected(one.canvas, after?.witness), problems: [] };
    const seen = { ...(await this.runner.seen(id)), problems };
    if (this.duplicates) seen.runs = this.duplicates.forgive(id, seen.runs, expected.runs);
    return isDeepStrictEqual(seen, expected) ? undefined : { one, seen, expected };
  }
}

/** The nodes and tasks of a canvas that has ended and was not revoked which are in another state than they should be. */
async function unsettledOf(workflows: WorkflowService, id: string, canvas: Ref): Promise<string[]> {
  const { successes } = interpret(canvas, undefined, { outcomesWhenHeaderSucceeds: 'outcomes' });
  const expected = (place: string): readonly string[] => {
    const success = successes[place];
    if (success !== undefined) return [success ? 'SUCCESS' : 'FAILURE'];
    // What its turn never came to has failed with what was before it; of what was never added or put there nobody knows.
    return ['FAILURE', 'UNKNOWN'];
  };
  const wrong = await Promise.all(
    idsIn(canvas).map(async (place) => {
      const state = await workflows.result(id + place).state();
      return expected(place).includes(state)
        ? []
        : [`${place} is ${state}, not ${expected(place).join(' or ')}`];
    }),
  );
  return wrong.flat();
}
