import type { NodeStep, NodeView } from '../../../libs/task-queue/src/flow/advance-node.js';
import type { NodeEnvelope } from '../../../libs/task-queue/src/flow/envelope.js';
import type { FlowPlan, PlannedJob } from '../../../libs/task-queue/src/flow/flow-plan.js';
import type { HeaderLaw, HeaderView, Judgement } from '../../../libs/task-queue/src/chords/judge-header.js';
import type { Defects, Planted } from './defects.js';
import { BEGIN_MS } from './deliveries.js';
import { CANVAS_ID } from './scenario.js';
import { AMENDED, CHANGED, TOLD } from './late-scenarios.js';
import { type Case, JUDGED, PLAIN, REDRIVEN } from './scenarios.js';
import { STREAMED } from './streamed-scenarios.js';

/** A decision that is made otherwise than it should be. */
export interface WrongDecisions {
  advanceNode?: (
    right: (node: NodeEnvelope, view: NodeView) => NodeStep,
    node: NodeEnvelope,
    view: NodeView,
  ) => NodeStep;
  judgeHeader?: (
    right: (law: HeaderLaw, view: HeaderView) => Judgement,
    law: HeaderLaw,
    view: HeaderView,
  ) => Judgement;
  releasedId?: (right: (...args: unknown[]) => string, ...args: unknown[]) => string;
}

/** What is wrong, and where it is to be found. */
export interface PlantedDefect {
  readonly at: Case | undefined;
  /** Found after seconds: with PROTOCOL_LOSSES=2 alone. */
  readonly isLong?: boolean;
  /** How many are lost. @defaultValue one */
  readonly losses?: number;
  readonly defects?: Defects;
  readonly decisions?: WrongDecisions;
}

const HOLD = `${CANVAS_ID}.hold`;
const idOf = (ref: unknown): string => (ref as { readonly id: string }).id;
const right = ({ command, args }: Planted): unknown => command(...args);
const planned = ({ args }: Planted): PlannedJob => (args[0] as FlowPlan).job;
const node = (store: Planted['store']) => store.job({ queue: '_canvas', id: CANVAS_ID });

/** In whoever's name it is, it is heard. */
const unfenced = ({ command, args: [holder, ...more], store }: Planted): unknown => {
  const job = store.job(holder as never);
  return command({ ...(holder as object), token: job?.token }, ...more);
};

export const PLANTED: Readonly<Record<string, PlantedDefect>> = {
  'a header is gone on with before its failures are looked at': {
    at: PLAIN['a chord with a member that fails'],
    losses: 0,
    decisions: {
      advanceNode: (decide, of, view) =>
        decide(of, 'size' in of ? { ...view, succeeded: of.size, failed: 0 } : view),
    },
  },
  'a body is not waited for': {
    at: PLAIN['a chord'],
    losses: 0,
    defects: {
      'ledger.setStage': (planted) => {
        const job = node(planted.store);
        if (JSON.stringify(planted.args[1]).includes('"added"') && job !== undefined) job.pending.clear();
        return right(planted);
      },
    },
  },
  'the note that a body is added is not written before it is': {
    at: PLAIN['a chord'],
    defects: {
      'ledger.setStage': (planted) =>
        JSON.stringify(planted.args[1]).includes('"adding"') ? true : right(planted),
    },
  },
  'a worker that was lost adds a body': {
    at: PLAIN['a chord'],
    defects: { 'publisher.publishUnder': unfenced },
  },
  'a worker that was lost notes how far a node has come': {
    at: PLAIN['a chord'],
    defects: { 'ledger.setStage': unfenced },
  },
  'a worker that was lost ends a member': {
    at: PLAIN['a group with a member that fails'],
    defects: { 'ledger.recordFailure': unfenced },
  },
  'what a recovery said is not kept': {
    at: JUDGED['a chord whose strategy answers differently each time'],
    defects: {
      'ledger.readNode': async (planted) => ({
        ...((await right(planted)) as object),
        decision: undefined,
      }),
      'ledger.decideOnce': (planted) => {
        planted.store.record(CANVAS_ID)?.fields.delete(`r:${CANVAS_ID}`);
        return right(planted);
      },
    },
  },
  'an errback is released whenever it comes to it': {
    at: PLAIN['a group with a member that fails'],
    defects: {
      'publisher.publishOnce': (planted) => {
        planted.store.withdraw(planned(planted));
        return right(planted);
      },
    },
  },
  'an errback is not released': {
    at: PLAIN['a group with a member that fails'],
    losses: 0,
    defects: {
      'publisher.publishOnce': (planted) =>
        planted.by === CANVAS_ID && planned(planted).id.includes('errback') ? 'published' : right(planted),
    },
  },
  'a failure is settled before its errbacks, and those are forgotten': {
    at: PLAIN['a group with a member that fails'],
    defects: {
      'publisher.publishOnce': (planted) =>
        (node(planted.store)?.timesLost ?? 0) > 0 ? 'exists' : right(planted),
    },
  },
  'a breach of the budget is passed over': {
    at: CHANGED['a group that fails fast while a member is never taken up'],
    losses: 0,
    decisions: { judgeHeader: () => ({ do: 'wait' }) },
  },
  'a failure that comes while a header is judged is not noticed': {
    at: CHANGED['a chord whose second failure breaches the budget'],
    losses: 0,
    defects: {
      'headers.wait': ({ command, args: [holder, seen] }) =>
        command(holder, { ...(seen as object), failures: Infinity }),
    },
  },
  'a deadline that passes while a header is judged is not noticed': {
    at: CHANGED['a chord with a budget whose deadline passes while it is judged'],
    losses: 0,
    defects: {
      'headers.wait': ({ command, args: [holder, seen] }) =>
        command(holder, { ...(seen as object), isDue: true }),
    },
  },
  'a budget that is changed while a header is parked is not noticed': {
    at: CHANGED['a chord that is parked in the moment in which its budget is raised'],
    losses: 0,
    defects: {
      'headers.wait': ({ command, args: [holder, seen], store }) => {
        const json = store.record(CANVAS_ID)?.fields.get(`b:${CANVAS_ID}`);
        const budget = json === undefined ? undefined : (JSON.parse(json) as unknown);
        return command(holder, { ...(seen as object), budget });
      },
    },
  },
  'a header is closed twice': {
    at: JUDGED['a chord that is parked, and whose budget lets it fail'],
    defects: { 'headers.close': unfenced },
  },
  'a hold is not withdrawn when its header is closed': {
    at: JUDGED['a chord that is parked, and whose budget is raised'],
    losses: 0,
    defects: { 'jobs.withdraw': (planted) => idOf(planted.args[0]) === HOLD || right(planted) },
  },
  'a hold is not withdrawn when its header goes on': {
    at: JUDGED['a chord that is parked while a member runs, and whose budget is raised'],
    losses: 0,
    defects: { 'jobs.withdraw': (planted) => idOf(planted.args[0]) !== HOLD && right(planted) },
  },
  'a hold does not end': {
    at: JUDGED['a chord that is parked, and fails while its hold is at work'],
    losses: 0,
    defects: {
      'ledger.readNode': async (planted) =>
        planted.by === HOLD
          ? { ...((await right(planted)) as object), isHeld: true, revoked: false }
          : right(planted),
    },
  },
  'a hold that is added under a revocation stays': {
    at: CHANGED['a chord that is parked in the moment in which it is revoked'],
    losses: 0,
    defects: {
      'ledger.isRevoked': (planted) => (planted.by === CANVAS_ID ? false : right(planted)),
      'ledger.readNode': async (planted) =>
        planted.by === HOLD ? { ...((await right(planted)) as object), revoked: false } : right(planted),
    },
  },
  'a timer of another generation closes a header': {
    at: REDRIVEN['a chord with a deadline that is redriven while its timer is at work'],
    losses: 0,
    defects: {
      'headers.setDue': ({ command, args: [id], store }) =>
        command(id, node(store)?.data.includes('redriven') === true ? 1 : 0),
    },
  },
  'a deadline does not pass': {
    at: CHANGED['a chord with a budget whose deadline passes while it is judged'],
    losses: 0,
    defects: { 'headers.setDue': () => undefined },
  },
  'a deadline that counts from the seal begins before it': {
    at: STREAMED['a chord whose deadline counts from a seal that may never come'],
    losses: 0,
    defects: {
      'headers.times': async (planted) => {
        const times = await right(planted);
        return typeof times === 'object' ? { ...times, sealMs: BEGIN_MS } : times;
      },
    },
  },
  'a seal is not noted': {
    at: STREAMED['a chord whose deadline counts from its seal, and passes while its member ends'],
    losses: 0,
    defects: {
      'dispatch.seal': async (planted) => {
        const standing = await right(planted);
        delete node(planted.store)?.dispatch?.sealedAt;
        return standing;
      },
    },
  },
  'a header of which the rest is never published waits, whatever its deadline': {
    at: STREAMED['a chord whose deadline counts from a seal that may never come'],
    defects: {
      'headers.times': async (planted) => {
        const times = await right(planted);
        const { end } = node(planted.store)?.dispatch ?? {};
        return typeof times === 'object' && end === 'let-go' ? { ...times, sealMs: undefined } : times;
      },
    },
  },
  'the outcome of a member is not noted': {
    at: JUDGED['a chord whose deadline counts from its first outcome'],
    losses: 0,
    defects: { 'headers.noteOutcome': () => undefined },
  },
  'the outcome of a member that is taken out of its queue is not noted': {
    at: JUDGED['a chord whose deadline counts from a member that is revoked while it waits'],
    losses: 0,
    defects: {
      'jobs.withdraw': ({ command, args: [job, record] }) =>
        command(job, record && { ...record, timedBy: undefined }),
    },
  },
  'an errback of a later generation has the name of the first': {
    at: REDRIVEN['a chord that is redriven in vain'],
    losses: 0,
    decisions: { releasedId: (name, ...args) => name(...args.slice(0, 3)) },
  },
  'a redrive does not look whether somebody was faster': {
    at: REDRIVEN['a chord that is redriven by two at the same time'],
    losses: 0,
    defects: {
      'publisher.reopen': ({ command, args: [reopening], store }) =>
        command({ ...(reopening as object), planned: node(store)?.data }),
    },
  },
  'a redrive leaves the failure of the generation before': {
    at: REDRIVEN['a chord that is redriven'],
    losses: 0,
    defects: {
      'publisher.reopen': async (planted) => {
        const key = `f:${CANVAS_ID}`;
        const failure = planted.store.record(CANVAS_ID)?.fields.get(key);
        const answer = await right(planted);
        if (failure !== undefined) planted.store.openRecord(CANVAS_ID).fields.set(key, failure);
        return answer;
      },
    },
  },
  'a producer that was overtaken adds members': {
    isLong: true,
    at: STREAMED['a chord that somebody else goes on to publish'],
    losses: 0,
    defects: {
      'dispatch.add': ({ command, args, store, by }) => {
        const dispatch = node(store)?.dispatch;
        if (dispatch !== undefined && by === 'producer') dispatch.by = 1;
        return command(...args);
      },
    },
  },
  'members are added without the cursor': {
    isLong: true,
    at: STREAMED['a chord that somebody else goes on to publish'],
    losses: 0,
    defects: {
      'dispatch.add': async (planted) => {
        const answer = await right(planted);
        const dispatch = node(planted.store)?.dispatch;
        if (dispatch !== undefined) dispatch.dispatched = 0;
        return answer;
      },
    },
  },
  'a lease that runs out ends nothing': {
    at: STREAMED['a chord whose members are read while they are published'],
    defects: { 'publisher.letGo': () => undefined },
  },
  'a revocation withdraws before it marks': {
    at: CHANGED['a chord that is revoked, whose body is never taken up'],
    losses: 0,
    defects: { 'ledger.markRevoked': () => undefined },
  },
  'a body that is added under a revocation stays': {
    at: CHANGED['a chord that is revoked, whose body is never taken up'],
    losses: 0,
    defects: {
      'ledger.isRevoked': (planted) => (planted.by === CANVAS_ID ? false : right(planted)),
    },
  },
  'a member that is added twice has two places': {
    at: CHANGED['a group whose member adds another'],
    defects: {
      'publisher.addMember': ({ command, args: [holder, call, compile], store }) => {
        store.openRecord(CANVAS_ID).fields.delete(`a:${idOf(holder)}:${String(call)}`);
        return command(holder, call, compile);
      },
    },
  },
  'what comes late is not handed over': {
    at: TOLD['a chord whose late members are told'],
    losses: 0,
    defects: {
      'headers.close': async (planted) => {
        const answer = await right(planted);
        const waiter = planted.store.job({ queue: '_canvas', id: `${CANVAS_ID}.late` });
        waiter?.pending.clear();
        return answer;
      },
    },
  },
  'late members are told whenever it comes to it': {
    at: TOLD['a chord whose late member is told by workers that are lost'],
    defects: {
      'publisher.publishOnce': (planted) => {
        if (planned(planted).id.endsWith('.late.0')) planted.store.withdraw(planned(planted));
        return right(planted);
      },
    },
  },
  'an amendment does not look whether it was made': {
    isLong: true,
    at: AMENDED['a chord that is amended by workers that are lost'],
    defects: {
      'publisher.reopen': ({ command, args: [reopening], store }) =>
        command({ ...(reopening as object), planned: node(store)?.data }),
    },
  },
  'an amendment forgets what came late': {
    at: AMENDED['a chord that is amended by its late members'],
    losses: 0,
    defects: {
      'publisher.reopen': ({ command, args: [reopening] }) => {
        const { rerun, ...more } = reopening as { readonly rerun: object };
        return command({ ...more, rerun: { ...rerun, isAmended: false } });
      },
    },
  },
  'an amendment keeps what was decided before': {
    at: AMENDED['a chord that is amended by its late members'],
    losses: 0,
    defects: {
      'publisher.reopen': ({ command, args: [reopening] }) => {
        const { rerun, ...more } = reopening as { readonly rerun: object };
        return command({ ...more, rerun: { ...rerun, keepsDecision: true } });
      },
    },
  },
};
