import { RECOVERIES, task, type Json, type Recovery, type Ref, type TaskRef } from './canvas-model.js';
import { peakValueSize } from './value-size.js';
import { mulberry32, type Random } from './random.js';

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
  'list',
  'list',
  'list',
  'ident',
  'ident',
  'add',
  'double',
  'sum',
  'sumTree',
  'flaky',
] as const;

/** A random canvas. The same seed and options give the same canvas on any machine. */
export function generate(seed: number, options: GenerateOptions = {}): Ref {
  const { maxNodes = 30 } = options;
  for (let draw = 0; ; draw += 1) {
    const random = mulberry32(seed + draw * REDRAW_STEP);
    const canvas = new CanvasGenerator(random, { ...options, maxNodes: maxNodes - draw }).canvas();
    if (peakValueSize(canvas) <= MAX_VALUE_SIZE) return canvas;
  }
}

class CanvasGenerator {
  private readonly maxDepth: number;
  private readonly maxWidth: number;
  private readonly failureRate: number;
  private nodesLeft: number;
  private labels = 0;

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

  private node(depth: number, taskShare = 0.5): Ref {
    this.nodesLeft -= 1;
    const isTask = depth === 0 || this.nodesLeft <= 0 || this.chance(taskShare);
    return this.withCallbacks(isTask ? this.leaf() : this.composite(depth - 1));
  }

  private composite(depth: number): Ref {
    const kind = this.pick(['chain', 'chain', 'group', 'chord'] as const);
    switch (kind) {
      case 'chain':
        return { kind, steps: this.nodes(this.chance(0.08) ? 1 : this.between(2, this.maxWidth), depth) };
      case 'group':
        return { kind, members: this.nodes(this.width(), depth) };
      case 'chord':
        return {
          kind,
          header: this.nodes(this.width(), depth),
          body: this.body(depth),
          recovery: this.pick<Recovery>(RECOVERIES),
        };
      default:
        return kind satisfies never;
    }
  }

  /** An errback on a composite body has a rule of its own, so both come up more often here than elsewhere. */
  private body(depth: number): Ref {
    const ref = this.node(depth, 0.35);
    return ref.errback === undefined && this.chance(0.15) ? { ...ref, errback: this.label('E') } : ref;
  }

  /** Empty and one-member composites are where canvases break, so they come up often. */
  private width(): number {
    if (this.chance(0.12)) return 0;
    return this.chance(0.18) ? 1 : this.between(2, this.maxWidth);
  }

  private nodes(count: number, depth: number): Ref[] {
    return Array.from({ length: Math.min(count, this.maxWidth) }, () => this.node(depth));
  }

  private leaf(): TaskRef {
    const ref = this.chance(this.failureRate) ? this.failingTask() : this.plainTask();
    return this.chance(0.15) ? { ...ref, immutable: true } : ref;
  }

  private failingTask(): TaskRef {
    if (this.chance(0.7)) return task('fail', this.label('t'));
    return this.chance(0.5) ? task('flaky', 3) : task('failIfOdd', this.between(0, 9));
  }

  private plainTask(): TaskRef {
    const name = this.pick(PLAIN_TASKS);
    if (name === 'flaky') return task(name, this.between(1, 2));
    return task(name, ...Array.from({ length: this.between(0, 2) }, () => this.argument()));
  }

  private argument(): Json {
    if (this.chance(0.7)) return this.between(0, 9);
    return this.pick<Json>([null, 'x', [], [1, [2]], { key: 3 }]);
  }

  private withCallbacks(ref: Ref): Ref {
    const link = this.chance(0.1) ? { link: this.label('L') } : {};
    const errback = this.chance(0.2) ? { errback: this.label('E') } : {};
    return { ...ref, ...link, ...errback };
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
