import type { Json, Recovery, Ref } from './canvas-model.js';

const RECOVERY_NAMES: Readonly<Record<Recovery, string>> = {
  'errback-only': '',
  'callback-with-successes': ', CallbackWithSuccesses',
  'callback-with-outcomes': ', CallbackWithOutcomes',
};

/** A canvas on one line, in the notation `add(1, 2)`, `add!(1)` for an immutable task, `chord([header], body)`. */
export function render(ref: Ref): string {
  const link = ref.link === undefined ? '' : `.link(${ref.link})`;
  const errback = ref.errback === undefined ? '' : `.linkError(${ref.errback})`;
  return `${renderNode(ref)}${link}${errback}`;
}

function renderNode(ref: Ref): string {
  switch (ref.kind) {
    case 'task':
      return `${ref.name}${ref.immutable === true ? '!' : ''}(${ref.args.map(renderJson).join(', ')})`;
    case 'chain':
      return `chain(${renderAll(ref.steps)})`;
    case 'group':
      return `group(${renderAll(ref.members)})`;
    case 'chord':
      return `chord([${renderAll(ref.header)}], ${render(ref.body)}${RECOVERY_NAMES[ref.recovery]})`;
    default:
      return ref satisfies never;
  }
}

const renderAll = (refs: readonly Ref[]): string => refs.map(render).join(', ');

const renderJson = (value: Json): string => JSON.stringify(value);
