import type { CanvasData } from '../canvas/canvas-data.js';
import { bodyName, type ChordNode, type MembersForm, type NodeEnvelope } from './envelope.js';
import type { ChildName } from './ids.js';

/**
 * What a node does next: a pure decision over what became of its children. This is the whole protocol of a
 * canvas; everything else carries it out.
 *
 * A node moves through stages. In stage 0 it waits for the children that were published with it; a chain
 * then adds one step a stage, a chord adds its body in stage 1. A node's job runs only while none of its
 * children is pending: BullMQ releases it, atomically, when the last one becomes terminal.
 *
 * ```
 * task   0 ── child 0 ──────────────────────────────────→ settle
 * chain  0 ── step 0 ok ─→ 1 ── step 1 ok ─→ … ── last ──→ settle
 *              └─ failed ─────────────────────────────────→ settle as failed (later steps never exist)
 * group  0 ── members ───────────────────────────────────→ settle: list, or GroupError
 * chord  0 ── header ok ──────────────→ 1 ── body ────────→ settle
 *              └─ failed ─ ask recovery ┤
 *                                       └─ errback, fail ─→ settle as failed
 * ```
 *
 * With a budget, a header is closed before its end when the budget is breached (`judgeHeader`); the stage goes on with
 * what is there.
 */
export interface NodeView {
  readonly stage: number;
  /** What became of the one child of this stage; for `task`, `chain` and a chord's body. */
  readonly child: ChildEnd;
  /** Members that returned and members that failed; for groups and headers. */
  readonly succeeded: number;
  readonly failed: number;
  /** That the header was closed, or judged by its budget: what follows has been decided. */
  readonly isClosed?: boolean;
}

/** A child that is in neither list of its parent was removed by hand (hole H1). */
export type ChildEnd = 'succeeded' | 'failed' | 'missing';

export type NodeStep =
  /** Done: the value, or the failure, of this child. */
  | { readonly do: 'settle-child'; readonly child: ChildName; readonly end: ChildEnd }
  /** Done: the list of all members' values. */
  | { readonly do: 'settle-list' }
  /** Done: members failed. */
  | { readonly do: 'settle-members-failed' }
  /** Ask the strategy what follows. */
  | { readonly do: 'recover' }
  /** Add this child. Its input is the value of the child before, or all members. */
  | { readonly do: 'add'; readonly child: ChildName; readonly canvas: CanvasData; readonly input: StepInput };

export type StepInput =
  { readonly of: 'child'; readonly child: ChildName } | { readonly of: 'members'; readonly as: MembersForm };

/** Strategies whose body gets outcomes also when every member succeeded. */
const ALWAYS_OUTCOMES = 'CallbackWithOutcomes';

export function advanceNode(node: NodeEnvelope, view: NodeView): NodeStep {
  switch (node.node) {
    case 'task':
      return { do: 'settle-child', child: 0, end: view.child };
    case 'chain': {
      const next = node.rest[view.stage];
      return view.child === 'succeeded' && next !== undefined
        ? { do: 'add', child: view.stage + 1, canvas: next, input: { of: 'child', child: view.stage } }
        : { do: 'settle-child', child: view.stage, end: view.child };
    }
    case 'group':
      return view.succeeded === node.size && view.isClosed !== true
        ? { do: 'settle-list' }
        : { do: 'settle-members-failed' };
    case 'chord':
      if (view.stage > 0) return { do: 'settle-child', child: bodyName(node), end: view.child };
      if (view.succeeded < node.size || view.isClosed === true) return { do: 'recover' };
      return addBody(node, node.recovery === ALWAYS_OUTCOMES ? 'outcomes' : 'values');
  }
}

/** The body's release: after a header without failures, or as a strategy decided. */
export function addBody(node: ChordNode, as: MembersForm): NodeStep {
  return { do: 'add', child: bodyName(node), canvas: node.body, input: { of: 'members', as } };
}
