import type { HeaderStore } from '../backend/header-store.js';
import type { Ledger, NodeRecord } from '../backend/ledger.js';
import { type Budget, readBudget } from '../canvas/header-rules.js';
import { NoBudgetError, NotBegunError, ResultUnknownError } from '../errors/result.errors.js';
import { budgetOf, type NodeEnvelope } from '../flow/envelope.js';
import type { TaskReader } from '../results/task-reader.js';

/** What changing a budget needs. */
export interface BudgetChangeDeps {
  readonly reader: TaskReader;
  readonly ledger: Ledger;
  readonly headers: HeaderStore;
}

/**
 * Changes the budget of a header, and has it judged by it at once.
 *
 * @returns false when it is over
 * @throws InvalidCanvasError, ResultUnknownError, NotBegunError, NoBudgetError
 */
export async function changeBudget(
  id: string,
  budget: Budget,
  { reader, ledger, headers }: BudgetChangeDeps,
): Promise<boolean> {
  readBudget(budget, 'budget');
  // Before the node: of one that is whole by then the size that is read afterwards is not too small.
  const isWhole = isSizeKnown(await ledger.readNode(id));
  const node = await reader.node(id);
  if (node === undefined) return refuse(id, reader);
  if (budgetOf(node) === undefined) throw new NoBudgetError(id);
  return headers.setBudget(id, readBudget(budget, 'budget', isWhole ? sizeOf(node) : undefined));
}

/** One that is read from a source has the size that has been read so far. */
function isSizeKnown({ dispatch, size }: NodeRecord): boolean {
  return dispatch === undefined || dispatch.state === 'sealed' || size === undefined;
}

function sizeOf(node: NodeEnvelope): number | undefined {
  return node.node === 'task' ? undefined : node.size;
}

/** Of what is no composite, or not yet one. */
async function refuse(id: string, reader: TaskReader): Promise<never> {
  const { state, queue } = await reader.read(id);
  if (state === 'UNKNOWN') throw new ResultUnknownError(id);
  // It has no job: its canvas is yet to add it.
  if (state === 'PENDING' && queue === undefined) throw new NotBegunError(id);
  throw new NoBudgetError(id);
}
