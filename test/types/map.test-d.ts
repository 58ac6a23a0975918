import type { Chunks, Group, Outcome, Signature } from 'nestjs-task-queue';
import { MathTasks } from './fixtures.js';
import { assertType, chain, chord, type Equal, tasks } from './support.js';

const math = tasks(MathTasks);

// Over items that are there: complete, takes any value and ignores it.
const doubles = math.double.map([1, 2]);
assertType<Equal<typeof doubles, Signature<[], number[], unknown[]>>>();
const sums = math.add.starmap([
  [1, 2],
  [3, 4],
]);
assertType<Equal<typeof sums, Signature<[], number[], unknown[]>>>();
math.add.starmap([[1, 2]] as const);
math.double.map(new Set([1]));

// Over items to come: misses their list, and fits behind what returns one.
const later = math.double.map();
assertType<Equal<typeof later, Signature<[items: number[]], number[]>>>();
chain(sums, later, math.sum.s());
chord([math.add.s(1, 2)], later);
// @ts-expect-error a number is no list of numbers
chain(math.add.s(1, 2), later);

// Parameters after the first may be left out where they are optional, and only there.
math.format.map([1]);
math.all.map([1]);
math.optional.map([1]);
math.loose.map([1, 'a']);
// @ts-expect-error add takes two arguments: that is a starmap
math.add.map([1]);
// @ts-expect-error an item of another type
math.double.map(['1']);
// @ts-expect-error an argument is missing
math.add.starmap([[1]]);

// Chunks are a group of lists.
const chunks = math.add.chunks([[1, 2]], 10);
assertType<Equal<typeof chunks, Chunks<number>>>();
const asGroup = chunks.group();
assertType<Equal<typeof asGroup, Group<[], number[][], unknown[]>>>();
const appended = asGroup.add(math.text.map([1]));
assertType<Equal<typeof appended, Group<[], (number[] | string[])[], unknown[]>>>();
// @ts-expect-error the values are lists of numbers, not numbers
chain(chunks, math.sum.s());
export declare const lengths: Signature<[lists: number[][]], number[]>;
chord(asGroup, lengths);
chord(chunks, lengths);

// With an outcome for each item.
const outcomes = math.double.map([1, 2], { settle: true });
assertType<Equal<typeof outcomes, Signature<[], Outcome<number>[], unknown[]>>>();
const laterOutcomes = math.double.map(undefined, { settle: true });
assertType<Equal<typeof laterOutcomes, Signature<[items: number[]], Outcome<number>[]>>>();
const settledChunks = math.add.chunks([[1, 2]], 10, { settle: true });
assertType<Equal<typeof settledChunks, Chunks<Outcome<number>>>>();
const unsettled = math.double.map([1], { settle: false });
assertType<Equal<typeof unsettled, Signature<[], number[], unknown[]>>>();
// @ts-expect-error outcomes are no numbers
chain(outcomes, math.sum.s());
// @ts-expect-error an option that there is not
math.double.map([1], { settled: true });
