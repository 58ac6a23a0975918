import type { TaskContext, WorkflowService } from 'nestjs-task-queue';
import type { RunLog } from './reference-tasks.js';
import type { Ref } from './reference/canvas-model.js';
import type { Witness } from './reference/interpret.js';
import { placed, placesOf } from './reference/places.js';
import { mulberry32 } from './reference/random.js';

/** When something of a canvas is revoked, and what. */
export interface Revocation {
  /** Picks the node, as a share of all there are; 0 is the canvas as a whole. */
  readonly share: number;
  /** When its handlers have been called so often; 0 is right after its publication. */
  readonly afterCalls: number;
  readonly terminate: boolean;
  /** Whether the handler that is running then goes on only when the revocation is through. */
  readonly isAwaited: boolean;
}

export function revocationOf(seed: number): Revocation {
  const random = mulberry32(seed * 31 + 17);
  return {
    share: random() < 0.4 ? 0 : random(),
    afterCalls: random() < 0.15 ? 0 : 1 + Math.floor(random() * 7),
    terminate: random() < 0.5,
    isAwaited: random() < 0.5,
  };
}

/** The ids, after that of the canvas, of all of its nodes and jobs. */
export function idsIn(canvas: Ref): string[] {
  const ids = [...placesOf(placed(canvas))].flatMap((node) =>
    node.kind === 'task' && node.job !== node.place ? [node.place, node.job] : [node.place],
  );
  return [...new Set(ids)];
}

/** The node that a revocation means. */
export function targetOf(canvas: Ref, { share }: Revocation): string {
  const ids = idsIn(canvas);
  return ids[Math.floor(share * ids.length)] ?? '';
}

/** Revokes nodes of canvases when it is their time. */
export class Revoker {
  readonly #due = new Map<string, { readonly target: string; readonly plan: Revocation; calls: number }>();

  constructor(
    private readonly workflows: WorkflowService,
    private readonly log: RunLog,
  ) {
    log.disturb = (task) => this.#called(task);
  }

  /** To be called before the canvas is published under this id. */
  expect(id: string, canvas: Ref, plan: Revocation): void {
    this.#due.set(id, { target: targetOf(canvas, plan), plan, calls: 0 });
  }

  /** To be called when it has been published. */
  async published(id: string): Promise<void> {
    const due = this.#due.get(id);
    if (due?.plan.afterCalls === 0) await this.#revoke(id, due);
  }

  #called({ id }: TaskContext): Promise<void> | void {
    const canvas = id.slice(0, id.indexOf('.') < 0 ? undefined : id.indexOf('.'));
    const due = this.#due.get(canvas);
    if (due === undefined || (due.calls += 1) !== due.plan.afterCalls) return;
    const revoked = this.#revoke(canvas, due);
    if (due.plan.isAwaited) return revoked;
  }

  async #revoke(canvas: string, { target, plan }: { target: string; plan: Revocation }): Promise<void> {
    try {
      const isRevoked = await this.workflows.result(canvas + target).revoke({ terminate: plan.terminate });
      if (isRevoked) this.log.of(canvas).cutOff(target);
    } catch (error) {
      // What is to come is told apart from what never will only when its node is there.
      if ((error as { code?: unknown }).code !== 'RESULT_UNKNOWN')
        this.log.of(canvas).problems.push(String(error));
    }
  }
}

/** What the store says of a canvas that something of was revoked. */
export interface Aftermath {
  readonly witness: Witness;
  /** What no revocation may lead to. */
  readonly problems: readonly string[];
}

const TERMINAL = new Set(['SUCCESS', 'FAILURE', 'REVOKED']);

/** To be asked when nothing of the canvas waits or runs any more. */
export async function aftermathOf(
  workflows: WorkflowService,
  log: RunLog,
  id: string,
  canvas: Ref,
  plan: Revocation,
): Promise<Aftermath> {
  const target = targetOf(canvas, plan);
  const problems = [...log.of(id).problems];
  const begun = new Map<string, boolean>();
  const revoked = new Set<string>();
  await Promise.all(
    idsIn(canvas).map(async (place) => {
      const { state, error } = await workflows.result(id + place).describe();
      // A replacement that never came to be is unknown.
      if (!TERMINAL.has(state) && !(state === 'UNKNOWN' && place.includes('.replacement.')))
        problems.push(`${place} is left ${state}`);
      begun.set(place, state === 'SUCCESS' || (error !== undefined && !NEVER.has(error.error.code ?? '')));
      if (error?.error.name !== 'TaskRevokedError' || error.request.id !== id + place) return;
      revoked.add(place);
      if (!isBelow(place, target)) problems.push(`${place} was revoked, though only ${target} was to be`);
    }),
  );
  const { runs } = log.of(id);
  return {
    problems,
    witness: {
      revoked: (place) => revoked.has(place),
      began: (place) => begun.get(place) ?? false,
      runs: (key) => runs[key] ?? 0,
    },
  };
}

const NEVER = new Set(['UPSTREAM_FAILED', 'TASK_REMOVED']);

export function isBelow(place: string, node: string): boolean {
  return place === node || place.startsWith(`${node}.`);
}
