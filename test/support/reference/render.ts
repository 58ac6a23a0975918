import type { Json, Recovery, Ref, TaskRef } from './canvas-model.js';

const RECOVERY_NAMES: Readonly<Record<Recovery, string>> = {
  'errback-only': '',
  'callback-with-successes': ', CallbackWithSuccesses',
  'callback-with-outcomes': ', CallbackWithOutcomes',
  tally: ', Tally',
};

/** A canvas on one line, in the notation `add(1, 2)`, `add!(1)` for an immutable task, `chord([header], body)`. */
export function render(ref: Ref): string {
  const each =
    ref.kind === 'group' && ref.eachErrback !== undefined ? `.linkErrorEach(${ref.eachErrback})` : '';
  const link = ref.link === undefined ? '' : `.link(${ref.link})`;
  const errback = ref.errback === undefined ? '' : `.linkError(${ref.errback})`;
  const stamp = ref.stamp === undefined ? '' : `.stamp(${renderJson(ref.stamp)})`;
  return `${renderNode(ref)}${each}${link}${errback}${stamp}`;
}

function renderNode(ref: Ref): string {
  switch (ref.kind) {
    case 'task':
      return renderTask(ref);
    case 'chain':
      return `chain(${renderAll(ref.steps)})`;
    case 'group':
      return `group(${renderAll(ref.members)})`;
    case 'chunks': {
      const chunks = `${ref.name}.chunks(${renderJson(ref.argLists)}, ${ref.size})`;
      return ref.asGroup === true ? `${chunks}.group()` : chunks;
    }
    case 'chord':
      return `chord([${renderAll(ref.header)}], ${render(ref.body)}${RECOVERY_NAMES[ref.recovery]})`;
    default:
      return ref satisfies never;
  }
}

function renderTask({ name, args, immutable, each, by, adds, ignoreResult }: TaskRef): string {
  const options = ignoreResult === true ? '.set({ ignoreResult })' : '';
  const given =
    by === undefined ? [...args.map(renderJson), ...(adds ?? []).map(render)].join(', ') : render(by);
  if (each !== undefined) return `${name}.${each}(${given})${options}`;
  return `${name}${immutable === true ? '!' : ''}(${given})${options}`;
}

const renderAll = (refs: readonly Ref[]): string => refs.map(render).join(', ');

const renderJson = (value: Json): string => JSON.stringify(value);
