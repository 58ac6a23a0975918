import type { AsyncResult, Signature } from 'nestjs-task-queue';
import { ContractTasks, type Contract, MathTasks, type Summary } from './fixtures.js';
import { assertType, type Equal, tasks } from './support.js';

const contracts = tasks(ContractTasks);
const math = tasks(MathTasks);

// Methods only, private ones left out.
assertType<
  Equal<
    keyof typeof contracts,
    | 'processContract'
    | 'buildReport'
    | 'buildFromOutcomes'
    | 'archive'
    | 'notify'
    | 'cleanUp'
    | 'onFailure'
    | 'ping'
  >
>();

// The context is no argument, required or optional.
const contract: Contract = { id: 'c1' };
assertType<Equal<Parameters<typeof contracts.processContract.delay>, [contract: Contract]>>();
assertType<Equal<Parameters<typeof contracts.cleanUp.delay>, []>>();
assertType<Equal<Parameters<typeof math.flexible.delay>, [number, string?]>>();
assertType<Equal<Parameters<typeof math.loose.si>['length'], 1>>();

// Late arguments go in front.
const none = contracts.archive.s();
assertType<Equal<typeof none, Signature<[report: { lines: number }, folder: string], string>>>();
const folder = contracts.archive.s('2026');
assertType<Equal<typeof folder, Signature<[report: { lines: number }], string>>>();
const both = contracts.archive.s({ lines: 1 }, '2026');
assertType<Equal<typeof both, Signature<[], string>>>();
const c = math.three.s(true);
assertType<Equal<typeof c, Signature<[a: string, b: number], Date>>>();
const bc = math.three.s(1, true);
assertType<Equal<typeof bc, Signature<[a: string], Date>>>();

// Promises are unwrapped; immutable ones miss nothing and take anything.
const summary = contracts.processContract.si(contract);
assertType<Equal<typeof summary, Signature<[], Summary, unknown[]>>>();
const ping = contracts.ping.s();
assertType<Equal<typeof ping, Signature<[], string, unknown[]>>>();

// Optional parameters: stored arguments may be the last ones of any call that is possible.
const value = math.increase.s(1);
assertType<Equal<typeof value, Signature<[] | [number], number>>>();
const unit = math.format.s('kg');
assertType<Equal<typeof unit, Signature<[number], string>>>();
const formatted = math.format.s(1);
assertType<Equal<typeof formatted, Signature<[], string>>>();
const all = math.format.s(1, 'kg');
assertType<Equal<typeof all, Signature<[], string>>>();
const nothing = math.format.s();
assertType<Equal<typeof nothing, Signature<[value: number, unit?: string], string>>>();
const rest = math.all.s(1, 2);
assertType<Equal<typeof rest, Signature<number[] | [], number>>>();
const rested = math.labelled.s(1, 2);
assertType<Equal<typeof rested, Signature<[label: string, ...values: number[]], string>>>();
const labelled = math.labelled.s('x', 1);
assertType<Equal<typeof labelled, Signature<[], string>>>();

// Calls.
assertType<Equal<ReturnType<typeof math.double.delay>, Promise<AsyncResult<number>>>>();
void contracts.processContract.delay(contract);
void contracts.processContract.applyAsync([contract]);
void contracts.processContract.applyAsync([contract], { countdown: '5s', taskId: 'c1' });
void contracts.ping.applyAsync();
void math.optional.applyAsync();
void math.optional.applyAsync([], { queue: 'slow' });
void both.applyAsync();
void both.applyAsync([], { expires: '1m' });
void folder.delay({ lines: 3 });
void folder.applyAsync([{ lines: 3 }]);
void value.delay();
void value.delay(2);
void nothing.delay(1);
void nothing.delay(1, 'kg');
void rest.delay(3, 4);

// What must not compile.
// @ts-expect-error an argument is missing (B010)
void contracts.processContract.delay();
// @ts-expect-error an argument is missing
void contracts.processContract.applyAsync();
// @ts-expect-error an argument is missing
void contracts.processContract.applyAsync([]);
// @ts-expect-error the partial still misses its first argument
void folder.delay();
// @ts-expect-error the partial still misses its first argument
void folder.applyAsync();
// @ts-expect-error nothing is missing any more
void both.delay({ lines: 1 });
// @ts-expect-error a wrong argument
void folder.delay({ rows: 3 });
// @ts-expect-error a property that Contract does not have
contracts.processContract.s({ id: 'c1', color: 'red' });
// @ts-expect-error the last argument is a string
contracts.archive.s(7);
// @ts-expect-error too many arguments
contracts.archive.s({ lines: 1 }, '2026', 'more');
// @ts-expect-error .si is complete or nothing
contracts.archive.si('2026');
// @ts-expect-error an immutable signature ignores what is put in front, so it has to be complete
folder.immutable();
// @ts-expect-error the context is filled in by the library
contracts.processContract.s(contract, {});
// @ts-expect-error no such task
contracts.processContracts.s();
// @ts-expect-error not a method
contracts.title.s();
// @ts-expect-error an unknown option
void both.applyAsync([], { coutdown: '5s' });
// @ts-expect-error neither a number nor a unit fits
math.format.s(true);
both.immutable().set({ queue: 'slow' });
