import type { Ledger, NodeRecord } from '../backend/ledger.js';
import type { NodeEnvelope } from '../flow/envelope.js';
import { CANVAS_QUEUE, childId } from '../flow/ids.js';
import type { TaskReader } from '../results/task-reader.js';
import type { TaskSnapshot } from '../results/task-snapshot.js';
import { generationOf } from '../task/redriven.js';
import { isTerminal } from '../task/task-state.js';

/** A callback of a node that is yet to come. */
export interface Releaser {
  /** The node that it belongs to. */
  readonly node: TaskSnapshot;
  /** Of one for late members: the job that publishes it, when the header has been closed. */
  readonly waiter?: { readonly queue: string; readonly id: string };
}

/** Which callback of which node an id names. */
interface Release {
  readonly node: string;
  readonly kind: 'link' | 'errback' | 'late';
  readonly index: number;
  readonly generation: number;
}

const RELEASE = /^(.+?)(?:\.g(\d+))?\.(link|errback|late)\.(\d+)$/;

function releaseOf(id: string): Release | undefined {
  const [, node, generation = '0', kind, index] = RELEASE.exec(id) ?? [];
  if (node === undefined) return undefined;
  return { node, kind: kind as Release['kind'], index: Number(index), generation: Number(generation) };
}

/** Who publishes a callback that nothing is stored about, where its node has such a one and may still come to release it. */
export async function releaserOf(
  id: string,
  { reader, ledger }: { readonly reader: TaskReader; readonly ledger: Ledger },
): Promise<Releaser | undefined> {
  const release = releaseOf(id);
  const node = release && (await reader.node(release.node));
  if (node === undefined || release === undefined || !has(node, release)) return undefined;
  const [snapshot, record] = await Promise.all([reader.read(release.node), ledger.readNode(release.node)]);
  if (release.kind === 'late' && record.closing !== undefined)
    return isHeard(record)
      ? { node: snapshot, waiter: { queue: CANVAS_QUEUE, id: childId(release.node, 'late') } }
      : undefined;
  return isTerminal(snapshot.state) ? undefined : { node: snapshot };
}

function has(node: NodeEnvelope, { kind, index, generation }: Release): boolean {
  if (generationOf(node) !== generation) return false;
  switch (kind) {
    case 'link':
      return node.links?.[index] !== undefined;
    case 'errback':
      return node.errbacks?.[index] !== undefined;
    case 'late':
      return index === 0 && node.node === 'chord' && typeof node.late === 'object';
  }
}

function isHeard({ closing, isLateKept }: NodeRecord): boolean {
  return closing?.late === true && !isLateKept;
}
