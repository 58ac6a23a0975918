import type { MemberOutcome } from '../chords/chord-recovery.js';
import { Outcomes } from '../chords/outcomes.js';
import type { StoredValues } from '../codec/stored-values.js';
import type { TaskReader } from '../results/task-reader.js';
import type { EngineLog } from './engine-log.js';
import { untilStored } from './until-stored.js';

/** The members of a node as a handler reads them, page by page. */
export interface HeaderRef {
  readonly node: string;
  readonly size: number;
}

/** What the reading of members needs. */
export interface OutcomesDeps {
  readonly reader: TaskReader;
  readonly values: StoredValues;
  readonly log: EngineLog;
  /** Aborts when nobody waits for the store any more. */
  readonly stopping: AbortSignal;
}

/** What the members of a node came to, read when the handler asks for it, until the store answers. */
export function outcomesOf(
  { node, size }: HeaderRef,
  { reader, values, log, stopping }: OutcomesDeps,
): Outcomes {
  const read = async function* () {
    const pages = reader.settledPages(node, size);
    for (;;) {
      const page = await untilStored(() => pages.next(), stopping, log);
      if (page.done === true) return;
      yield values.read(page.value) as MemberOutcome[];
    }
  };
  return new Outcomes(size, read, node);
}

/** Which members stand in front of a call's arguments, where a handler reads them page by page. */
export function headerIn([first]: readonly unknown[]): HeaderRef | undefined {
  const node = first instanceof Outcomes ? Outcomes.nodeOf(first) : undefined;
  return node === undefined ? undefined : { node, size: (first as unknown as Outcomes).size };
}
