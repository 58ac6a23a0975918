import type { INestApplicationContext } from '@nestjs/common';
import {
  type AsyncResult,
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  type Chain,
  type Chord,
  type Group,
  getWorkflowServiceToken,
  type GroupResult,
  type Signature,
  Task,
  Tasks,
  type WorkflowService,
} from 'nestjs-task-queue';
import { type Contract, ContractTasks, type Report, type Summary } from './fixtures.js';
import { assertType, type Equal } from './support.js';

// What an application sees: the same types through the package's own entry.
declare const workflows: WorkflowService;
declare const contracts: Contract[];
const tasks = workflows.tasks(ContractTasks);

const report = workflows.chord(
  contracts.map((contract) => tasks.processContract.s(contract)),
  tasks.buildReport.s(),
  { recovery: CallbackWithSuccesses },
);
assertType<Equal<typeof report, Chord<[], Report>>>();
assertType<Equal<Awaited<ReturnType<typeof report.applyAsync>>, AsyncResult<Report>>>();

const archived = workflows.chain(report, tasks.archive.s('2026'));
assertType<Equal<typeof archived, Chain<[], string>>>();
const all = workflows.group(contracts.map((contract) => tasks.processContract.s(contract)));
assertType<Equal<typeof all, Group<[], Summary[]>>>();
assertType<Equal<Awaited<ReturnType<typeof all.delay>>, GroupResult<Summary>>>();
const remote = workflows.signature<number>('other.count', [1]);
assertType<Equal<typeof remote, Signature<unknown[], number>>>();
workflows.chain(tasks.cleanUp.s(), remote, tasks.ping.s()).linkError(tasks.onFailure.s('ops'));
workflows.chord(all, tasks.buildFromOutcomes.s(), { recovery: CallbackWithOutcomes });

// @ts-expect-error the body takes outcomes
workflows.chord(all, tasks.buildFromOutcomes.s(), { recovery: CallbackWithSuccesses });
// @ts-expect-error the body takes a report
workflows.chord(all, tasks.archive.s('2026'));
// @ts-expect-error the second step takes a report
workflows.chain(tasks.ping.s(), tasks.archive.s('2026'));
// @ts-expect-error the contract is missing
void tasks.processContract.delay();
// @ts-expect-error the errback gets a failure
report.linkError(tasks.archive.s('2026'));

// A registration with a name: its token brings the type along, and what the tasks of a class share is their place.
declare const app: INestApplicationContext;
const billing = app.get(getWorkflowServiceToken('billing'));
assertType<Equal<typeof billing, WorkflowService>>();
Tasks({ connection: 'billing', queue: 'invoices' });
Task({ connection: 'billing' });
// @ts-expect-error a name belongs to one task
Tasks({ name: 'charge' });
// @ts-expect-error it says something, or it is not there
Tasks();
