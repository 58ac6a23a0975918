import {
  type AsyncResult,
  CallbackWithOutcomes,
  type Chord,
  type Group,
  type GroupResult,
  type Outcome,
  type RedriveOutcome,
  type StreamedChord,
  type StreamedGroup,
  type TaskContext,
  Tolerate,
  type WorkflowService,
} from 'nestjs-task-queue';
import { ContractTasks, MathTasks } from './fixtures.js';
import { assertType, chain, chord, type Equal, group, tasks } from './support.js';

// What is said of a combinator beside its parts: rules of headers, callbacks of each member, sources, redrives.
const math = tasks(MathTasks);
const contracts = tasks(ContractTasks);
declare const workflows: WorkflowService;
declare const task: TaskContext;
declare class Bodies {
  outcomes(outcomes: Outcome<number>[]): boolean;
}
const bodies = tasks(Bodies);
const header = [math.double.s(1), math.double.s(2)];

// Deadlines and budgets change nothing about what a chord misses, returns, or hands to its body.
const timely = chord([math.double.s()], math.sum.s(), {
  deadline: { after: '5m', from: 'first-outcome', rest: 'revoke' },
});
assertType<Equal<typeof timely, Chord<[value: number], number>>>();
const both = chord(header, bodies.outcomes.s(), {
  deadline: '1h',
  recovery: Tolerate({ percentage: 10, recovery: CallbackWithOutcomes }),
});
assertType<Equal<typeof both, Chord<[], boolean>>>();
const quick = group([math.double.s(), math.text.s()], { failFast: true });
assertType<Equal<typeof quick, Group<[value: number], [number, string]>>>();
// @ts-expect-error a deadline counts from something that there is
chord(header, math.sum.s(), { deadline: { after: '5m', from: 'the beginning' } });
// @ts-expect-error a deadline has a length
chord(header, math.sum.s(), { deadline: { from: 'dispatch' } });
// @ts-expect-error the body gets outcomes under this budget
chord(header, math.sum.s(), { recovery: Tolerate({ count: 1, recovery: CallbackWithOutcomes }) });
// @ts-expect-error a group has no body that a deadline could let run
group(header, { deadline: '5m' });
// @ts-expect-error a list has no window
chord(header, math.sum.s(), { window: 5 });

// An errback of each member belongs to a group.
const watched = quick.linkError(contracts.onFailure.s('ops'), { each: true });
assertType<Equal<typeof watched, typeof quick>>();
// @ts-expect-error a chord has one errback for the whole
timely.linkError(contracts.onFailure.s('ops'), { each: true });
// @ts-expect-error so has a chain
chain(math.double.s(1)).linkError(contracts.onFailure.s('ops'), { each: true });

// Members that follow miss what the others miss.
const three = quick.add(math.double.s());
assertType<Equal<typeof three, Group<[value: number], [number, string, number]>>>();
// @ts-expect-error it misses a text
quick.add(math.length.s());
const pieces = math.add.chunks([[1, 2]], 2).group();
pieces.link(contracts.ping.s()).linkError(contracts.onFailure.s('ops'), { each: true });
// @ts-expect-error the chunks return lists of lists
pieces.link(math.sum.s());

// Sources: callbacks, options and handles are those of what is read.
async function* partial() {
  yield math.double.s();
}
const streamed = group(partial, { window: 10, failFast: true }).link(math.sum.s()).stamp({ tenant: 1 });
assertType<Equal<typeof streamed, StreamedGroup<[value: number], number>>>();
assertType<Equal<Awaited<ReturnType<typeof streamed.delay>>, GroupResult<number>>>();
const joined = chord(partial, math.sum.s(), { deadline: '1h' }).linkError(contracts.onFailure.s('ops'));
assertType<Equal<typeof joined, StreamedChord<[value: number], number>>>();
assertType<Equal<Awaited<ReturnType<typeof joined.delay>>, AsyncResult<number>>>();
const settled = chord(partial, bodies.outcomes.s(), { recovery: CallbackWithOutcomes });
assertType<Equal<typeof settled, StreamedChord<[value: number], boolean>>>();
void joined.applyAsync([1], { taskId: 'mine' });
// @ts-expect-error its members miss a number
void joined.applyAsync([], { taskId: 'mine' });
// @ts-expect-error it returns a number
joined.link(math.length.s());
// @ts-expect-error its members return numbers
streamed.link(math.length.s());
// @ts-expect-error an errback takes a failure
streamed.linkError(math.sum.s());
// @ts-expect-error the members return numbers, the body takes outcomes
chord(partial, bodies.outcomes.s());
// @ts-expect-error nobody knows its members: it is no member
group([streamed]);
// @ts-expect-error nor a body
chord(header, joined);

// What takes a place, or is added, misses nothing, and is there as a whole.
export const inside = [
  () => task.addToGroup(group([math.double.s(1)])),
  () => task.addToGroup(math.add.chunks([[1, 2]], 2)),
  () => task.replace(math.add.chunks([[1, 2]], 2).group()),
  // @ts-expect-error a source is no part of another canvas
  () => task.replace(joined),
  // @ts-expect-error a source is no part of another canvas
  () => task.addToGroup(streamed),
  // @ts-expect-error a published call is no canvas
  () => task.addToGroup(math.double.delay(1)),
  // @ts-expect-error the header misses a number
  () => task.addToGroup(timely),
];
assertType<Equal<Awaited<ReturnType<typeof task.addToGroup>>, string>>();

// A redrive brings the canvas to what the canvas comes to.
const redriven = workflows.redrive<number>('id', { after: 0 });
assertType<Equal<Awaited<typeof redriven>, RedriveOutcome<number>>>();
export const again = async (): Promise<number> => (await redriven).result.get();
// @ts-expect-error a generation is a number
void workflows.redrive('id', { after: 'the last' });
// @ts-expect-error the handle is one of number
export const wrong = async (): Promise<string> => (await redriven).result.get();
