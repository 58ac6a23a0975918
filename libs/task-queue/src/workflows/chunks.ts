import type { GroupData } from '../canvas/canvas-data.js';
import { Group } from './group.js';

/** Calls in jobs of several calls each: a group whose members return lists. */
export class Chunks<R> extends Group<[], R[][], unknown[]> {
  /** The chunks as a plain group, e.g. to add other members. */
  group(): Group<[], R[][], unknown[]> {
    return new Group(this.publisher, this.toJSON());
  }

  protected override copy(data: GroupData): this {
    return new Chunks<R>(this.publisher, data) as this;
  }
}
