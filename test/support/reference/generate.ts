import {
  adder,
  chain,
  chord,
  each,
  group,
  RECOVERIES,
  task,
  type Json,
  type Recovery,
  type Ref,
  type TaskName,
  type TaskRef,
} from './canvas-model.js';
import { peakValueSize } from './value-size.js';
import { mulberry32, type Random } from './random.js';
import { MAX_RETRIES } from './tasks.js';

export interface GenerateOptions {
  /** Levels of composites above the deepest task. Defaults to 4. */
  maxDepth?: number;
  /** Most steps, members or header members of one composite. Defaults to 4. */
  maxWidth?: number;
  /** Share of the tasks, from 0 to 1, that are of a kind that fails for good. At 0 no task fails. Defaults to 0.12. */
  failureRate?: number;
  /** About how many nodes a canvas may have. Defaults to 30. */
  maxNodes?: number;
}

/** Groups in a row multiply what they hand on; a canvas whose largest value could pass this is drawn again, smaller. */
const MAX_VALUE_SIZE = 1_000;
const REDRAW_STEP = 0x9e3779b9;

/** Tasks whose value shows the order and the nesting of what they got come up most often. */
const PLAIN_TASKS = [
  ...['list', 'list', 'list', 'list', 'list', 'ident', 'ident', 'ident', 'add', 'add', 'double', 'sum'],
  ...['sumTree', 'flaky', 'again', 'headers', 'ignore'],
] as const satisfies TaskName[];
const FAILING_TASKS = [
  ...['fail', 'fail', 'fail', 'fail', 'fail', 'fail', 'flaky', 'again', 'failIfOdd', 'failFinally', 'reject'],
  ...['throwNothing', 'returnBigInt', 'overrunSoft', 'overrunHard', 'expired', 'unknown'],
] as const satisfies TaskName[];
/** Tasks that are called for each item of a list. */
const TASKS_OF_ANY_ITEM = ['list', 'ident', 'double', 'add', 'headers'] as const;
const ITEM_TASKS = [...TASKS_OF_ANY_ITEM, 'flaky'] as const;
const FAILING_ITEM_TASKS = ['fail', 'failIfOdd', 'flaky', 'throwNothing', 'ignore'] as const;

/** A random canvas. The same seed and options give the same canvas on any machine. */
export function generate(seed: number, options: GenerateOptions = {}): Ref {
  const { maxNodes = 30 } = options;
  for (let draw = 0; ; draw += 1) {
    const random = mulberry32(seed + draw * REDRAW_STEP);
    const canvas = new CanvasGenerator(random, { ...options, maxNodes: maxNodes - draw }).canvas();
    if (peakValueSize(canvas) <= MAX_VALUE_SIZE) return canvas;
  }
}

/** A canvas with so many members in one group or header, of which few fail, somewhere inside of it. */
export function generateWide(seed: number, width: number): Ref {
  return new CanvasGenerator(mulberry32(seed), { maxNodes: 0 }).wide(width);
}

class CanvasGenerator {
  private readonly maxDepth: number;
  private readonly maxWidth: number;
  private readonly failureRate: number;
  private nodesLeft: number;
  private labels = 0;
  /** The group or header around the node that is drawn now; one task of each adds to it. */
  private home: { isTaken: boolean } | undefined;

  constructor(
    private readonly random: Random,
    { maxDepth = 4, maxWidth = 4, failureRate = 0.12, maxNodes }: GenerateOptions & { maxNodes: number },
  ) {
    this.maxDepth = maxDepth;
    this.maxWidth = maxWidth;
    this.failureRate = failureRate;
    this.nodesLeft = maxNodes;
  }

  canvas(): Ref {
    return this.node(this.maxDepth, 0.04);
  }

  wide(width: number): Ref {
    const failing = this.chance(0.5) ? new Set(this.indexesOf(width)) : new Set<number>();
    const adds = this.chance(0.3) ? Array.from({ length: this.between(1, 3) }, () => this.plainTask()) : [];
    const members = Array.from({ length: width }, (_, index): Ref =>
      index === 0 && adds.length > 0
        ? adder(...adds)
        : failing.has(index)
          ? this.failingTask()
          : task(this.pick(['list', 'ident', 'double']), index),
    );
    const joined = chord(members, task('sumTree'), this.pick<Recovery>(RECOVERIES));
    const whole = this.chance(0.6) ? this.withCallbacks(joined) : group(...members);
    switch (this.pick(['alone', 'step', 'member'] as const)) {
      case 'alone':
        return this.withCallbacks(whole);
      case 'step':
        return chain(task('ident', 1), whole, task('sumTree', 1));
      case 'member':
        return chord([whole, task('ident', 1)], task('sumTree'), 'callback-with-successes');
    }
  }

  private indexesOf(width: number): number[] {
    return Array.from({ length: this.between(1, 9) }, () => this.between(0, width - 1));
  }

  private node(depth: number, taskShare = 0.5): Ref {
    this.nodesLeft -= 1;
    const isTask = depth === 0 || this.nodesLeft <= 0 || this.chance(taskShare);
    return this.withCallbacks(isTask ? this.leaf(depth) : this.composite(depth - 1));
  }

  private composite(depth: number): Ref {
    const kind = this.pick(COMPOSITES);
    switch (kind) {
      case 'chain':
        return { kind, steps: this.steps(this.chance(0.08) ? 1 : this.between(2, this.maxWidth), depth) };
      case 'group': {
        const hung = this.chance(0.12) ? { eachErrback: this.label('E') } : {};
        return { kind, members: this.inside(() => this.nodes(this.width(), depth)), ...hung };
      }
      case 'chunks': {
        const asGroup = this.chance(0.4) ? { asGroup: true } : {};
        const { name, items } = this.items('starmap');
        return { kind, name, argLists: items as Json[][], size: this.between(1, 3), ...asGroup };
      }
      case 'chord':
        return {
          kind,
          header: this.inside(() => this.nodes(this.width(), depth)),
          body: this.body(depth),
          recovery: this.pick<Recovery>(RECOVERIES),
        };
      default:
        return kind satisfies never;
    }
  }

  /** An errback on a composite body has a rule of its own, so both come up more often here than elsewhere. */
  private body(depth: number): Ref {
    if (this.chance(0.08)) return this.withCallbacks(each('map', this.pick(TASKS_OF_ANY_ITEM)));
    const ref = this.node(depth, 0.35);
    return ref.errback === undefined && this.chance(0.15) ? { ...ref, errback: this.label('E') } : ref;
  }

  /** Empty and one-member composites are where canvases break, so they come up often. */
  private width(): number {
    if (this.chance(0.12)) return 0;
    return this.chance(0.18) ? 1 : this.between(2, this.maxWidth);
  }

  /** What follows a list may be called for each of its items. */
  private steps(count: number, depth: number): Ref[] {
    const steps = this.nodes(count, depth);
    return steps.map((step, index) => {
      const before = steps[index - 1]?.kind;
      const isList = before === 'group' || before === 'chunks' || this.chance(this.failureRate * 0.2);
      if (step.kind !== 'task' || index === 0 || !isList || !this.chance(0.3)) return step;
      const form =
        before !== 'chunks' && this.failureRate > 0 ? this.pick(['map', 'map', 'starmap'] as const) : 'map';
      return { ...each(form, this.pick(TASKS_OF_ANY_ITEM)), ...marksOf(step) };
    });
  }

  private nodes(count: number, depth: number): Ref[] {
    return Array.from({ length: Math.min(count, this.maxWidth) }, () => this.node(depth));
  }

  /** Draws the members of a group or header. */
  private inside<T>(draw: () => T): T {
    const around = this.home;
    this.home = { isTaken: false };
    const drawn = draw();
    this.home = around;
    return drawn;
  }

  /** Now and then one that has no group to add to. */
  private mayAdd(): boolean {
    if (this.home?.isTaken === true) return false;
    return this.chance(this.home === undefined ? this.failureRate * 0.3 : 0.16);
  }

  private leaf(depth: number): TaskRef {
    if (depth > 0 && this.nodesLeft > 0 && this.mayAdd()) {
      if (this.home !== undefined) this.home.isTaken = true;
      const adds = Array.from({ length: this.between(1, Math.min(2, this.maxWidth)) }, () =>
        this.node(depth - 1, 0.4),
      );
      return { ...adder(...adds), args: this.stored() };
    }
    if (depth > 0 && this.nodesLeft > 0 && this.chance(0.14)) {
      return { ...task('swap', ...this.stored()), by: this.node(depth - 1, 0.4) };
    }
    if (this.chance(0.09)) {
      const form = this.pick(['map', 'starmap'] as const);
      const { name, items } = this.items(form);
      return each(form, name, items);
    }
    const ref = this.chance(this.failureRate) ? this.failingTask() : this.plainTask();
    const immutable = this.chance(0.15) ? { immutable: true } : {};
    return { ...ref, ...immutable, ...(this.chance(0.04) ? { ignoreResult: true } : {}) };
  }

  /** A task that can be called for each of these items. */
  private items(form: 'map' | 'starmap'): { name: TaskName; items: Json[] } {
    const name = this.chance(this.failureRate) ? this.pick(FAILING_ITEM_TASKS) : this.pick(ITEM_TASKS);
    const count = this.chance(0.15) ? 0 : this.between(1, this.maxWidth + 1);
    // A job has so many retries, whatever the number of its items.
    const limit = this.failureRate > 0 ? 3 : 2;
    const item = (): Json => (name === 'flaky' ? this.between(0, this.between(0, limit)) : this.argument());
    const items = Array.from({ length: count }, () =>
      form === 'map' ? item() : Array.from({ length: this.between(1, 2) }, item),
    );
    return { name, items };
  }

  private failingTask(): TaskRef {
    const name = this.pick(FAILING_TASKS);
    if (name === 'fail') return task(name, this.label('t'));
    if (name === 'failIfOdd') return task(name, this.between(0, 9));
    const retries = MAX_RETRIES[name];
    return retries === undefined ? task(name) : task(name, retries + 1);
  }

  private plainTask(): TaskRef {
    const name = this.pick(PLAIN_TASKS);
    if (name === 'flaky') return task(name, this.between(1, 2));
    if (name === 'again') return task(name, this.between(0, 1));
    return task(name, ...this.stored());
  }

  private stored(): Json[] {
    return Array.from({ length: this.between(0, 2) }, () => this.argument());
  }

  private argument(): Json {
    if (this.chance(0.7)) return this.between(0, 9);
    return this.pick<Json>([null, 'x', [], [1, [2]], { key: 3 }]);
  }

  private withCallbacks<R extends Ref>(ref: R): R {
    const link = this.chance(0.1) ? { link: this.callback('L') } : {};
    const errback = this.chance(0.2) ? { errback: this.callback('E') } : {};
    const stamp = this.chance(0.06) ? { stamp: this.stamp() } : {};
    return { ...ref, ...link, ...errback, ...stamp };
  }

  private callback(prefix: string): string {
    return this.chance(0.1) ? `${this.label(prefix)}+` : this.label(prefix);
  }

  private stamp(): Record<string, Json> {
    const names = this.pick([['a'], ['b'], ['a', 'b']]);
    return Object.fromEntries(names.map((name) => [name, this.label('S')]));
  }

  private label(prefix: string): string {
    this.labels += 1;
    return `${prefix}${this.labels}`;
  }

  private chance(probability: number): boolean {
    return this.random() < probability;
  }

  private between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  private pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)] as T;
  }
}

const COMPOSITES = [
  ...['chain', 'chain', 'chain', 'chain', 'chain', 'group', 'group', 'group', 'chord', 'chord', 'chord'],
  'chunks',
] as const satisfies Ref['kind'][];

/** What hangs on a node, without the node. */
function marksOf({ link, errback, stamp }: Ref): Pick<Ref, 'link' | 'errback' | 'stamp'> {
  return { ...(link && { link }), ...(errback && { errback }), ...(stamp && { stamp }) };
}
