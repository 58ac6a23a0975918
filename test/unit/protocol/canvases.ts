import type { CanvasData, ChordData } from '../../../libs/task-queue/src/canvas/canvas-data.js';
import type { Budget } from '../../../libs/task-queue/src/canvas/header-rules.js';
import type { LateOutcomes } from '../../../libs/task-queue/src/chords/late-outcomes.js';
import { Redrive } from '../../../libs/task-queue/src/engine/redrive.js';
import { CANVAS_ID, type Outside, type Scenario, type Standing } from './scenario.js';

/* What scenarios are made of: tasks, canvases of them, and what is done from outside. */

export const task = (name: string, ...args: number[]): CanvasData => ({ kind: 'task', task: name, args });
export const good = (value: number): CanvasData => task('good', value);
export const bad = task('bad');
/** Fails in the first generation. */
export const sick = task('sick');
export const body = task('body');
export const errbacks = [task('errback')];
export const links = [task('link')];

const broken = (): never => {
  throw new TypeError('broken');
};

export const TASKS: Scenario['tasks'] = {
  good: ([value]) => value ?? null,
  bad: broken,
  sick: (_args, generation) => (generation === 0 ? broken() : 'well'),
  plus: ([value, more]) => Number(value) + Number(more),
  body: ([values]) => values ?? null,
  /** A body that fails in the first generation. */
  sickBody: ([values], generation) => (generation === 0 ? broken() : (values ?? null)),
  errback: () => null,
  /** Hears of late members. */
  told: ([late]) =>
    (late as unknown as LateOutcomes).outcomes.map((one) =>
      one.status === 'fulfilled' ? `${one.index} came to ${one.value as number}` : `${one.index} failed`,
    ),
  /** Adds one to its group. */
  adder: async (_args, _generation, context) => {
    await context.addToGroup({ kind: 'task', task: 'good', args: [2] } as never);
    return 1;
  },
  link: () => null,
};

export const chord = (header: readonly CanvasData[], more: Partial<ChordData> = {}): ChordData => ({
  kind: 'chord',
  header,
  body,
  errbacks,
  recovery: 'ErrbackOnly',
  ...more,
});

export const setBudget = (budget: Budget): Outside => ({
  act: (engine) => engine.backend.headers.setBudget(CANVAS_ID, budget),
});
export const isOver = (canvas: Standing): boolean => canvas.isOver;
/** Whoever waits for a member of a closed header that goes on. */
export const LATE = `${CANVAS_ID}.late waiting-children`;
export const isHolding = (canvas: Standing): boolean => canvas.isHolding;
export const isParked = (canvas: Standing): boolean => canvas.isParked;
export const revoke: Outside = { act: (engine) => engine.revocation.revoke(CANVAS_ID) };

export const redrive: Outside = {
  when: isOver,
  act: (engine, rest) => new Redrive(engine, rest).begin(CANVAS_ID, { after: 0 }),
};
/** The same whenever it comes, also of a canvas that has not ended. */
export const redriveEarly: Outside = { act: redrive.act };
/** By somebody who is lost when he has put back so many pages. */
export const redriveHalf = (pages: number): Outside => ({
  when: isOver,
  act: (engine, rest) => {
    let left = pages;
    const renew = async (): Promise<void> => {
      if (left-- === 0) throw new Error('lost');
    };
    const refills = Object.assign(Object.create(engine.backend.refills) as object, { renew });
    const backend = Object.assign(Object.create(engine.backend) as object, { refills });
    return new Redrive(Object.assign(Object.create(engine) as object, { backend }) as never, rest).begin(
      CANVAS_ID,
      { after: 0 },
    );
  },
});
/** The generation after the next one. */
export const redriveLater: Outside = {
  act: (engine, rest) => new Redrive(engine, rest).begin(CANVAS_ID, { after: 1 }),
};
/** Of whichever generation is the last one. */
export const redriveLast: Outside = {
  act: (engine, rest) => new Redrive(engine, rest).begin(CANVAS_ID),
};
