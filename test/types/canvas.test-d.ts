import type { AsyncResult, Chain, Group, GroupResult, Signature } from 'nestjs-task-queue';
import { type Contract, ContractTasks, MathTasks, type Report, type Summary } from './fixtures.js';
import { assertType, chain, type Equal, group, tasks, workflows } from './support.js';

const contracts = tasks(ContractTasks);
const math = tasks(MathTasks);
declare const list: Contract[];
declare function generate(): Generator<Signature<[], Summary>>;

// Chains: each step misses what the one before returns, or ignores it.
const plain = chain(math.add.s(1, 2), math.double.s(), math.text.s());
assertType<Equal<typeof plain, Chain<[], string>>>();
const partial = chain(math.add.s(2), math.text.s());
assertType<Equal<typeof partial, Chain<[a: number], string>>>();
void partial.delay(1);
const ignoring = chain(math.add.s(1, 2), contracts.notify.si('a@b.c'), contracts.ping.s(), math.length.s());
assertType<Equal<typeof ignoring, Chain<[], number>>>();
const single = chain(math.double.s());
assertType<Equal<typeof single, Chain<[value: number], number>>>();
const immutableFirst = chain(math.double.si(1), math.text.s());
assertType<Equal<typeof immutableFirst, Chain<[], string, unknown[]>>>();
chain(math.add.s(1, 2), math.increase.s(5), math.optional.s(), math.all.s());
chain(math.text.s(1), immutableFirst, partial.immutable === undefined ? math.length.s() : math.length.s());
assertType<Equal<Awaited<ReturnType<typeof plain.delay>>, AsyncResult<string>>>();

// @ts-expect-error double returns a number, length takes a string
chain(math.double.s(1), math.length.s());
// @ts-expect-error the third step gets a string
chain(math.double.s(1), math.text.s(), math.double.s());
// @ts-expect-error add misses two arguments, and one comes
chain(math.double.s(1), math.add.s());
// @ts-expect-error a complete step would get the value in front of its arguments; .si ignores it
chain(math.double.s(1), math.add.s(1, 2));
// @ts-expect-error a chain needs a step
chain();
// @ts-expect-error the chain misses the first step's argument
void partial.delay();
// @ts-expect-error a partial chain cannot ignore its input
partial.immutable();
// @ts-expect-error the handle is one of string
export const wrongHandle: Promise<AsyncResult<number>> = plain.delay();
// @ts-expect-error a maker is no signature
chain(math.double);
// @ts-expect-error a promise is no signature
chain(math.double.delay(1));

// Chains of unknown length: every step follows one of its own kind.
const doubles: Signature<[value: number], number>[] = [];
assertType<Equal<typeof steps, Chain<[value: number], number>>>();
const steps = chain(...doubles);
const lengths: Signature<[value: string], number>[] = [];
// @ts-expect-error a step that takes a string cannot follow one that returns a number
chain(...lengths);

// Generic code can compose too.
export function pipe<A, B, C>(first: Signature<[A], B>, second: Signature<[B], C>): Chain<[A], C> {
  return chain(first, second);
}

// Groups: a list, or a tuple where the members are written out.
const summaries = group(list.map((contract) => contracts.processContract.s(contract)));
assertType<Equal<typeof summaries, Group<[], Summary[]>>>();
const mixed = group([math.add.s(1, 2), math.text.s(1)]);
assertType<Equal<typeof mixed, Group<[], [number, string]>>>();
const generated = group(generate());
assertType<Equal<typeof generated, Group<[], Summary[]>>>();
const fromSet = group(new Set([math.double.s(1)]));
assertType<Equal<typeof fromSet, Group<[], number[]>>>();
const empty = group([]);
assertType<Equal<typeof empty, Group<[], [], unknown[]>>>();

// A group misses what its members miss; all of them get the same.
const fan = group([math.double.s(), math.text.s(), contracts.notify.si('a@b.c')]);
assertType<Equal<typeof fan, Group<[value: number], [number, string, void]>>>();
void fan.delay(3);
const renamed = group([math.double.s(), math.increase.s(1, 2), math.add.s(1)].slice(0, 1));
assertType<Equal<typeof renamed extends Group<never, number[], never> ? true : false, true>>();
const differentNames = group([math.double.s(), math.add.s(1)]);
assertType<Equal<typeof differentNames, Group<[number], [number, number]>>>();
void differentNames.delay(5);
// @ts-expect-error the members miss a number
void fan.delay();
// @ts-expect-error the members miss a number
void fan.delay('x');
// @ts-expect-error no argument fits both a number and a string
void group([math.double.s(), math.length.s()]).delay(1);
// @ts-expect-error the complete member would get the argument too
void group([math.double.s(), math.double.s(1)]).delay(1);
// @ts-expect-error a number is no canvas
group([math.double.s(1), 7]);

// Handles.
assertType<Equal<Awaited<ReturnType<typeof summaries.delay>>, GroupResult<Summary>>>();
export async function readTuple(): Promise<[number, string]> {
  const handle = await mixed.delay();
  const asResult: AsyncResult<[number, string]> = handle;
  const asGroup: GroupResult<number | string> = handle;
  void asResult;
  void asGroup.completedCount();
  return handle.get({ timeout: '1s' });
}

// add() keeps what is known.
assertType<
  Equal<
    ReturnType<typeof mixed.add<ReturnType<typeof contracts.ping.si>>>,
    Group<[], [number, string, string]>
  >
>();
const more = summaries.add(contracts.processContract.s({ id: 'x' }));
assertType<Equal<typeof more, Group<[], Summary[]>>>();
// @ts-expect-error the group is complete, the member is not
summaries.add(contracts.processContract.s());

// Any canvas is a member or a step of any other.
const nested = chain(group([plain, math.add.s(1, 2)]), contracts.ping.s());
assertType<Equal<typeof nested, Chain<[], string>>>();
const listed = chain(group([math.double.s(1), math.double.s(2)]), math.sum.s());
assertType<Equal<typeof listed, Chain<[], number>>>();
const fanOut = chain(math.double.s(1), fan, contracts.ping.s());
assertType<Equal<typeof fanOut, Chain<[], string>>>();
chain(math.double.s(1), group([math.double.s(1), math.double.s(2)]).immutable(), math.sum.s());
// @ts-expect-error the group's value is a list
chain(group([math.double.s(1)]), math.double.s());
// @ts-expect-error the members of the second group are complete
chain(math.double.s(1), group([math.double.s(1)]));

// Callbacks take the value, errbacks the failure.
math.double.s(1).link(math.text.s()).linkError(contracts.onFailure.s('ops'));
math.double.s(1).link(contracts.ping.s()).link(contracts.notify.si('a@b.c')).linkError(contracts.ping.si());
math.double.s().link(chain(math.text.s(), math.length.s()));
summaries.link(contracts.buildReport.s()).linkError(contracts.onFailure.s('ops'));
math.double.s(1).set({ link: math.text.s(), linkError: [contracts.onFailure.s('ops')] });
void math.double.s(1).applyAsync([], { link: [math.text.s(), math.double.s()] });
// @ts-expect-error double returns a number
math.double.s(1).link(math.length.s());
// @ts-expect-error a complete callback would get the value in front of its arguments
math.double.s(1).link(math.add.s(1, 2));
// @ts-expect-error the callback still misses a second argument
math.double.s(1).link(math.add.s());
// @ts-expect-error an errback gets a TaskFailure (B116)
math.double.s(1).linkError(math.double.s());
// @ts-expect-error the errback still misses its channel
math.double.s(1).linkError(contracts.onFailure.s());
// @ts-expect-error the group's value is a list
summaries.link(contracts.archive.s('2026'));
// @ts-expect-error wrong callback in options
void math.double.s(1).applyAsync([], { link: math.length.s() });
// @ts-expect-error wrong errback in options
math.double.s(1).set({ linkError: math.double.s() });

// Fluent methods keep the type.
const fluent = math.double.s().set({ queue: 'slow' }).stamp({ tenant: 't1' }).link(math.text.s());
assertType<Equal<typeof fluent, Signature<[value: number], number>>>();

// A signature that takes more fits where one that takes less is asked for.
const body: Signature<[Summary[]], Report> = contracts.buildReport.s();
const complete: Signature<[], Summary> = contracts.processContract.si({ id: 'x' });
void [body, complete];
// @ts-expect-error what misses an argument is not complete
export const incomplete: Signature<[], Summary> = contracts.processContract.s();
// @ts-expect-error a complete one takes no value, an immutable one ignores any
export const immutable: Signature<[], Summary, unknown[]> = contracts.processContract.s({ id: 'x' });

// A task that this program does not know: its types are what the caller says.
const remote = workflows.signature<number>('other.count');
void remote.delay();
void remote.delay(1, 'x');
chain(math.double.s(1), remote, math.double.s());
group([remote, remote])
  .delay(1)
  .catch(() => undefined);
// @ts-expect-error it returns a number
chain(remote, math.length.s());
