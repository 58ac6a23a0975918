import { currentTask, type TaskContext } from 'nestjs-task-queue';
import { ContractTasks, MathTasks } from './fixtures.js';
import { assertType, chain, chord, type Equal, group, tasks } from './support.js';

const math = tasks(MathTasks);
const contracts = tasks(ContractTasks);
declare const task: TaskContext;

// Whatever misses nothing can take a task's place, and what is written behind it is never reached.
const replaced = (): never => task.replace(math.add.s(1, 2));
assertType<Equal<ReturnType<typeof replaced>, never>>();
export const cases = [
  () => currentTask().replace(contracts.ping.si()),
  () => task.replace(chain(math.add.s(1, 2), math.double.s())),
  () => task.replace(group([math.double.s(1)])),
  () => task.replace(chord([math.double.s(1)], math.sum.s())),
  () => task.replace(math.double.map([1])),
  () => task.addToGroup(math.add.s(1, 2)),
  () => task.addToGroup(chord([math.double.s(1)], math.sum.s())),
  // @ts-expect-error its second argument is there, its first is not
  () => task.addToGroup(math.add.s(1)),
  // @ts-expect-error its second argument is there, its first is not
  () => task.replace(math.add.s(1)),
  // @ts-expect-error the first step misses its argument
  () => task.replace(chain(math.double.s(), math.double.s())),
  // @ts-expect-error a published call is no canvas
  () => task.replace(math.double.delay(1)),
];
