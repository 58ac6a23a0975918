import type { CanvasData } from '../canvas/canvas-data.js';
import { copyCanvas } from '../canvas/canvas-node.js';
import { validateCanvas } from '../canvas/canvas-validate.js';
import type { JsonValue } from '../primitives/json.js';
import { Chain } from './chain.js';
import { Chord } from './chord.js';
import { Group } from './group.js';
import type { CanvasPublisher } from './port.js';
import { Signature } from './signature.js';

/** A canvas whose kind is known only at run time, and whose types nobody checked. */
export type UntypedCanvas<R = JsonValue> =
  | Signature<unknown[], R>
  | Chain<unknown[], R>
  | Group<unknown[], R extends unknown[] ? R : JsonValue[]>
  | Chord<unknown[], R>;

/**
 * A canvas from its plain data, e.g. from `JSON.parse` of what `JSON.stringify` made of one.
 *
 * @throws InvalidCanvasError, UnserializableArgumentError, InvalidIdError when it cannot run
 */
export function fromData<R = JsonValue>(publisher: CanvasPublisher, data: CanvasData): UntypedCanvas<R> {
  validateCanvas(data);
  const copy = copyCanvas(data);
  switch (copy.kind) {
    case 'task':
      return new Signature(publisher, copy);
    case 'chain':
      return new Chain<unknown[], R>(publisher, copy);
    case 'group':
      return new Group(publisher, copy);
    case 'chord':
      return new Chord<unknown[], R>(publisher, copy);
  }
}
