import {
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  type Chain,
  type Chord,
  type Chunks,
  type Group,
  type Signature,
} from 'nestjs-task-queue';
import { ContractTasks, MathTasks } from './fixtures.js';
import { assertType, chain, chord, type Equal, group, tasks } from './support.js';

// What is missing, and what comes out, through combinators of combinators.
const math = tasks(MathTasks);
const contracts = tasks(ContractTasks);

// What is hung on a canvas, or said of it, leaves its types as they are: of every kind.
const errback = contracts.onFailure.s('ops');
const aChain = chain(math.add.s(2), math.text.s());
const aGroup = group([math.double.s(), math.text.s()]);
const aChord = chord([math.double.s(), math.double.s()], math.sum.s());
const aMap = math.double.map();
const someChunks = math.add.chunks([[1, 2]], 10);
const said = {
  chain: aChain.set({ queue: 'slow' }).stamp({ tenant: 1 }).link(math.length.s()).linkError(errback),
  group: aGroup.set({ queue: 'slow' }).stamp({ tenant: 1 }).link(contracts.ping.s()).linkError(errback),
  chord: aChord.set({ queue: 'slow' }).stamp({ tenant: 1 }).link(math.text.s()).linkError(errback),
  map: aMap.set({ queue: 'slow' }).stamp({ tenant: 1 }).link(math.sum.s()).linkError(errback),
  chunks: someChunks.set({ queue: 'slow' }).stamp({ tenant: 1 }).linkError(errback, { each: true }),
};
assertType<Equal<typeof said.chain, Chain<[a: number], string>>>();
assertType<Equal<typeof said.group, Group<[value: number], [number, string]>>>();
assertType<Equal<typeof said.chord, Chord<[value: number], number>>>();
assertType<Equal<typeof said.map, Signature<[items: number[]], number[]>>>();
assertType<Equal<typeof said.chunks, Chunks<number>>>();
// @ts-expect-error the chain returns a string
aChain.link(math.double.s());
// @ts-expect-error the group returns a number and a string
aGroup.link(math.sum.s());
// @ts-expect-error the chord returns a number
aChord.link(math.length.s());
// @ts-expect-error the map returns a list
aMap.link(math.double.s());
// @ts-expect-error the chunks return lists of lists
someChunks.link(math.sum.s());
// @ts-expect-error an errback takes a failure, also that of each member
someChunks.linkError(math.sum.s(), { each: true });

// What the innermost part misses is missed outside, and nothing else is.
const deep = chain(
  group([chord([aChain, math.text.s()], contracts.ping.s()), math.text.s()]),
  contracts.ping.s(),
);
assertType<Equal<typeof deep extends { delay(value: number): unknown } ? true : false, true>>();
void deep.delay(1);
// @ts-expect-error the first step of the innermost chain misses a number
void deep.delay();
// @ts-expect-error and not a text
void deep.delay('1');
// @ts-expect-error a member that misses a text does not go with one that misses a number
void chord([math.text.s(), math.length.s()], contracts.ping.s()).delay(1);

// Maps, chunks and composites as members, headers and bodies hand on what they return.
const mapped = chord([math.double.map([1]), math.add.starmap([[1, 2]])], contracts.ping.s());
assertType<Equal<typeof mapped, Chord<[], string, unknown[]>>>();
const lists = group([math.double.map([1]), math.text.map([1])]);
assertType<Equal<typeof lists, Group<[], [number[], string[]], unknown[]>>>();
const summed = chord([math.add.s(1, 2), math.double.s(1)], math.double.map());
assertType<Equal<typeof summed, Chord<[], number[]>>>();
chain(math.add.starmap([[1, 2]]), math.text.map(), contracts.ping.s());
// @ts-expect-error a map over what comes in takes a list of numbers, and gets one of texts
chord([math.text.s(1), math.text.s(2)], math.double.map());
// @ts-expect-error a body that is a chain takes what its first step takes
chord([math.text.s(1)], chain(math.sum.s(), math.text.s()));
// @ts-expect-error a body that is a group takes what all of its members take
chord([math.double.s(1)], group([math.sum.s(), math.double.s()]));
// @ts-expect-error a body that is a chord takes what its members take
chord([math.double.s(1)], chord([math.double.s()], math.sum.s()));

// The recovery decides what a body takes, whatever kind of canvas that is.
declare class Bodies {
  outcomes(
    settled: ({ status: 'fulfilled'; value: number } | { status: 'rejected'; reason: object })[],
  ): number;
}
const bodies = tasks(Bodies);
const header = [math.double.s(1), math.double.s(2)];
chord(header, chain(bodies.outcomes.s(), math.text.s()), { recovery: CallbackWithOutcomes });
chord(header, group([bodies.outcomes.s(), contracts.ping.s()]), { recovery: CallbackWithOutcomes });
chord(header, chain(math.sum.s(), math.text.s()), { recovery: CallbackWithSuccesses });
// @ts-expect-error it gets outcomes, not values
chord(header, chain(math.sum.s(), math.text.s()), { recovery: CallbackWithOutcomes });
// @ts-expect-error it gets values, not outcomes
chord(header, group([bodies.outcomes.s(), contracts.ping.s()]), { recovery: CallbackWithSuccesses });
