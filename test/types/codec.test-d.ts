import { deserialize, parse, serialize, stringify, type SuperJSONResult } from 'superjson';
import type {
  AsyncResult,
  CodecRoles,
  Group,
  TaskContext,
  TaskCodec,
  TaskFailure,
  TaskQueueModuleOptions,
} from 'nestjs-task-queue';
import type { TaskQueueClient } from 'nestjs-task-queue/microservice';
import type { TaskQueueTestingOptions } from 'nestjs-task-queue/testing';
import { assertType, chain, type Equal, group, tasks } from './support.js';

// A codec: functions of a library as they are, or an object or class of one's own.
const superjson: TaskCodec = { id: 'superjson', encode: serialize, decode: deserialize };
export const text: TaskCodec = { id: 'superjson-text', encode: stringify, decode: parse };
export class Money implements TaskCodec {
  readonly id = 'money-2';
  encode = (value: unknown): SuperJSONResult => serialize(value);
  decode(encoded: SuperJSONResult): unknown {
    return deserialize(encoded);
  }
}
assertType<Equal<ReturnType<TaskCodec['decode']>, unknown>>();
assertType<Equal<Parameters<TaskCodec['encode']>, [value: unknown]>>();
// @ts-expect-error it has a name
export const nameless: TaskCodec = { encode: serialize, decode: deserialize };
// @ts-expect-error what it writes is read again
export const mute: TaskCodec = { id: 'mute', encode: serialize };
// @ts-expect-error a name is a text
export const numbered: TaskCodec = { id: 2, encode: serialize, decode: deserialize };

// The option: one codec, or which one writes and which are read.
type Option = NonNullable<TaskQueueModuleOptions['codec']>;
assertType<Equal<Option, TaskCodec | CodecRoles>>();
export const one: Option = superjson;
export const own: Option = new Money();
export const readers: Option = { read: [superjson, new Money()] };
export const both: Option = { write: superjson, read: [new Money()] };
// @ts-expect-error one codec writes
export const several: Option = { write: [superjson] };
// @ts-expect-error what is read is a list
export const listless: Option = { read: superjson };
// @ts-expect-error a codec is no name of one
export const named: Option = 'superjson';
// @ts-expect-error a typing mistake
export const mistaken: Option = { writes: superjson };
export const fixed = (roles: CodecRoles): void => {
  // @ts-expect-error roles are not changed once they are given
  roles.write = superjson;
};

// A client of a microservice and the test queue have it too.
assertType<
  Equal<NonNullable<NonNullable<ConstructorParameters<typeof TaskQueueClient>[0]>['codec']>, Option>
>();
assertType<Equal<NonNullable<TaskQueueTestingOptions['codec']>, Option>>();

// What it carries keeps its type: as argument, as result, from step to step, in what is told of a failure.
interface Order {
  readonly at: Date;
  readonly prices: Map<string, bigint>;
}
declare class OrderTasks {
  place(at: Date, prices: Map<string, bigint>): Promise<Order>;
  total(order: Order): bigint;
  days(orders: Order[]): Set<Date>;
  refund(failure: TaskFailure, since: Date): void;
}
const orders = tasks(OrderTasks);
const order = orders.place.s(new Date(), new Map([['a', 1n]]));
const total = chain(order, orders.total.s());
assertType<Equal<Awaited<ReturnType<typeof total.delay>>, AsyncResult<bigint>>>();
const two = group([order, order]).linkError(orders.refund.s(new Date()));
assertType<Equal<typeof two, Group<[], [Order, Order]>>>();
const days = chain(two, orders.days.s());
assertType<Equal<Awaited<ReturnType<typeof days.delay>>, AsyncResult<Set<Date>>>>();
void orders.place.starmap([[new Date(), new Map()]]);
// @ts-expect-error a Date is no text: nothing is turned into JSON on its way
orders.place.s('2026-01-02', new Map());
// @ts-expect-error prices are bigint
orders.place.s(new Date(), new Map([['a', 1]]));
// @ts-expect-error it returns a bigint
chain(total, orders.refund.s());

declare const task: TaskContext;
export const inside = [
  () => task.progress({ at: new Date(), left: 1n }),
  () => task.replace(total),
  () => task.retry({ args: [new Date()] }),
];
