import type { JsonValue } from '../primitives/json.js';

/** A value as a codec has written it. It says so itself, so it can stand wherever a value stands. */
export interface WrittenValue {
  readonly [CODEC]: string;
  readonly [VALUE]: JsonValue;
}

const CODEC = '$codec';
const VALUE = '$value';

/** What was written, and by whom. */
export function writtenBy(codec: string, value: JsonValue): JsonValue {
  return { [CODEC]: codec, [VALUE]: value };
}

/** Whether a codec has written this, as far as can be seen; anybody may have. */
export function isWritten(value: object): value is WrittenValue {
  return CODEC in value && VALUE in value && typeof value[CODEC] === 'string' && hasNoMore(value);
}

export function codecOf(value: WrittenValue): string {
  return value[CODEC];
}

export function contentOf(value: WrittenValue): JsonValue {
  return value[VALUE];
}

function hasNoMore(value: object): boolean {
  return Object.keys(value).length === 2;
}
