import {
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  Outcomes,
  StreamedChord,
  StreamedGroup,
} from 'nestjs-task-queue';
import { assertType, chain, chord, type Equal, type Expect, group, tasks } from './support.js';

/** Groups and chords of sources, and bodies that read their members page by page. */

declare class Reports {
  process(contract: { id: string }): Promise<number>;
  build(values: number[]): string;
  read(values: Outcomes<number>, label: string): Promise<string>;
  readTexts(values: Outcomes<string>): string;
}
const reports = tasks(Reports);

async function* complete() {
  yield reports.process.s({ id: 'a' });
}
async function* partial() {
  yield reports.process.s();
}

const streamed = group(complete());
assertType<Expect<Equal<typeof streamed, StreamedGroup<[], number>>>>();
const missing = group(() => partial());
assertType<Expect<Equal<typeof missing, StreamedGroup<[contract: { id: string }], number>>>>();
void missing.delay({ id: 'b' });
// @ts-expect-error the members miss a contract
void missing.delay();
// @ts-expect-error a source is no part of another canvas
chain(streamed, reports.build.s());

const joined = chord(complete, reports.build.s(), { window: 5 });
assertType<Expect<Equal<typeof joined, StreamedChord<[], string>>>>();
// @ts-expect-error the body takes texts
chord(complete, reports.readTexts.s());

// Outcomes fit under every recovery, of lists and of sources.
const list = [reports.process.s({ id: 'a' })];
chord(list, reports.read.s('x'));
chord(list, reports.read.s('x'), { recovery: CallbackWithSuccesses });
chord(list, reports.read.s('x'), { recovery: CallbackWithOutcomes });
chord(complete, reports.read.s('x'), { recovery: CallbackWithOutcomes });
void reports.read.delay([1, 2], 'x');
// @ts-expect-error a list of texts
void reports.read.delay(['1'], 'x');
// @ts-expect-error the members return numbers
chord(list, reports.readTexts.s());
