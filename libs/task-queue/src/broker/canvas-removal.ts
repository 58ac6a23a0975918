import { CANVAS_QUEUE, rootOf } from '../flow/ids.js';
import type { Producers } from './producers.js';
import type { RedisClient } from './redis-connections.js';
import { idInKey, type RedisKeys } from './redis-keys.js';

const SCAN_COUNT = 1_000;

/**
 * Removes everything that is stored about a finished canvas: its nodes with what their children returned, and
 * its record. Tasks have left before, their values live in the nodes.
 *
 * It walks down page by page instead of asking BullMQ to remove a tree at once, which blocks Redis for as long
 * as the tree is wide (hole H17). Being cut off in the middle is harmless: what is left is found again from the
 * root, which goes last.
 */
export class CanvasRemoval {
  constructor(
    private readonly client: () => Promise<RedisClient>,
    private readonly keys: RedisKeys,
    private readonly producers: Producers,
  ) {}

  async removeCanvas(id: string): Promise<void> {
    await this.#removeNode(id);
    await (await this.client()).del(this.keys.record(id));
  }

  /** Removes a task that stands alone. */
  async removeTask(queue: string, id: string): Promise<void> {
    await this.producers.queue(queue, id).remove(id);
    if (rootOf(id) === id) await (await this.client()).del(this.keys.record(id));
  }

  async #removeNode(id: string): Promise<void> {
    const key = this.keys.node(id);
    const nodePrefix = `${this.keys.prefixOf(id)}:${CANVAS_QUEUE}:`;
    for (const hash of [`${key}:processed`, `${key}:failed`]) {
      let cursor = '0';
      do {
        const [next, flat] = await (await this.client()).hscan(hash, cursor, 'COUNT', SCAN_COUNT);
        for (let at = 0; at < flat.length; at += 2) {
          const child = flat[at] ?? '';
          if (child.startsWith(nodePrefix)) await this.#removeNode(idInKey(child));
        }
        cursor = next;
      } while (cursor !== '0');
    }
    await this.producers.queue(CANVAS_QUEUE, id).remove(id, { removeChildren: false });
  }
}
