import {
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  type CanvasData,
  type ChordRecoveryType,
  ErrbackOnly,
  type JsonValue,
  type WorkflowService,
} from 'nestjs-task-queue';
import {
  type ChordRef,
  type ChunksRef,
  type GroupRef,
  type Headers,
  membersOfChunks,
  type Recovery,
  type Ref,
  type TaskRef,
} from './reference/canvas-model.js';
import { ReferenceTasks, Tally } from './reference-tasks.js';

const RECOVERY_CLASSES: Readonly<Record<Recovery, ChordRecoveryType>> = {
  'errback-only': ErrbackOnly,
  'callback-with-successes': CallbackWithSuccesses,
  'callback-with-outcomes': CallbackWithOutcomes,
  tally: Tally,
};

/** A time that is over. */
const EXPIRED = 1_000_000;

type Options = NonNullable<CanvasData['options']>;

/** A reference canvas as the library's plain data. `stamps` are those of nodes further out. */
export function toCanvasData(ref: Ref, stamps: Headers = {}): CanvasData {
  const headers = { ...ref.stamp, ...stamps };
  const part = (inner: Ref): CanvasData => toCanvasData(inner, headers);
  const record = (label: string, kind: 'link' | 'errback'): CanvasData => callback(label, kind, headers);
  const callbacks = {
    ...(ref.link === undefined ? {} : { links: [record(ref.link, 'link')] }),
    ...(ref.errback === undefined ? {} : { errbacks: [record(ref.errback, 'errback')] }),
  };
  switch (ref.kind) {
    case 'task':
      return { ...taskData(ref, headers), ...callbacks };
    case 'chain':
      return { kind: 'chain', steps: ref.steps.map(part), ...callbacks };
    case 'group': {
      const hung = ref.eachErrback === undefined ? [] : [record(ref.eachErrback, 'errback')];
      const members = ref.members.map((member) => withErrbacks(part(member), hung));
      return { kind: 'group', members, ...callbacks };
    }
    case 'chunks':
      return { kind: 'group', members: membersOfChunks(ref).map(part), ...callbacks };
    case 'chord':
      return {
        kind: 'chord',
        header: ref.header.map(part),
        body: part(ref.body),
        recovery: RECOVERY_CLASSES[ref.recovery].name,
        ...callbacks,
      };
  }
}

function taskData(ref: TaskRef, headers: Headers): CanvasData {
  const options = { ...optionsOf(ref), ...headersOf(headers) };
  return {
    kind: 'task',
    task: ref.name,
    args: argsOf(ref),
    ...(ref.immutable === true ? { immutable: true } : {}),
    ...(ref.each === undefined ? {} : { each: ref.each }),
    ...(Object.keys(options).length === 0 ? {} : { options }),
  };
}

function argsOf({ args, by, adds }: TaskRef): JsonValue[] {
  const data = (ref: Ref): JsonValue => toCanvasData(ref) as unknown as JsonValue;
  if (adds !== undefined) return [...args, adds.map(data)];
  return by === undefined ? args : [...args, data(by)];
}

function optionsOf({ name, ignoreResult }: TaskRef): Options {
  return {
    ...(name === 'expired' ? { expires: EXPIRED } : {}),
    ...(ignoreResult === true ? { ignoreResult } : {}),
  };
}

const headersOf = (headers: Headers): Options => (Object.keys(headers).length === 0 ? {} : { headers });

function withErrbacks(data: CanvasData, more: readonly CanvasData[]): CanvasData {
  return more.length === 0 ? data : { ...data, errbacks: [...(data.errbacks ?? []), ...more] };
}

function callback(label: string, kind: 'link' | 'errback', headers: Headers): CanvasData {
  const call = (task: string, args: JsonValue[]): CanvasData => {
    const options = headersOf(headers);
    return { kind: 'task', task, args, ...(Object.keys(options).length === 0 ? {} : { options }) };
  };
  const record = call('record', [label, kind]);
  return label.endsWith('+') ? { kind: 'chain', steps: [call('handOn', []), record] } : record;
}

/** A canvas whose types nobody knows, so none are checked. */
interface Untyped {
  link(callback: unknown): Untyped;
  linkError(errback: unknown, options?: { readonly each: boolean }): Untyped;
  stamp(headers: Headers): Untyped;
  set(options: object): Untyped;
  group(): Untyped;
}

/** A reference canvas through the methods that users call. */
export function toFluentCanvas(workflows: WorkflowService, ref: Ref): Untyped {
  const canvas = toBareCanvas(workflows, ref);
  return withMarks(
    workflows,
    ref.kind === 'group' && ref.eachErrback !== undefined
      ? canvas.linkError(callbackOf(workflows, ref.eachErrback, 'errback'), { each: true })
      : canvas,
    ref,
  );
}

function callbackOf(workflows: WorkflowService, label: string, kind: 'link' | 'errback'): unknown {
  const last = workflows.signature('record', [label, kind]);
  return label.endsWith('+') ? workflows.chain(...([workflows.signature('handOn'), last] as never)) : last;
}

function withMarks(workflows: WorkflowService, bare: Untyped, { link, errback, stamp }: Ref): Untyped {
  let canvas = bare;
  if (link !== undefined) canvas = canvas.link(callbackOf(workflows, link, 'link'));
  if (errback !== undefined) canvas = canvas.linkError(callbackOf(workflows, errback, 'errback'));
  return stamp === undefined ? canvas : canvas.stamp(stamp);
}

/** A group or chord whose members are read while it is published. */
export function toStreamedCanvas(workflows: WorkflowService, ref: GroupRef | ChordRef): Untyped {
  const { eachErrback } = ref.kind === 'group' ? ref : {};
  const source = async function* (): AsyncGenerator<Untyped> {
    for (const [index, member] of membersOf(ref).entries()) {
      // Now and then what is read is not there yet.
      if (index % 3 === 1) await new Promise((resolve) => setImmediate(resolve));
      const made = toFluentCanvas(workflows, member);
      yield eachErrback === undefined ? made : made.linkError(callbackOf(workflows, eachErrback, 'errback'));
    }
  };
  const streamed =
    ref.kind === 'group'
      ? workflows.group(source as never)
      : workflows.chord(source as never, toFluentCanvas(workflows, ref.body) as never, {
          recovery: RECOVERY_CLASSES[ref.recovery],
        });
  return withMarks(workflows, streamed as unknown as Untyped, ref);
}

const membersOf = (ref: GroupRef | ChordRef): readonly Ref[] =>
  ref.kind === 'group' ? ref.members : ref.header;

function toBareCanvas(workflows: WorkflowService, ref: Ref): Untyped {
  const all = (refs: readonly Ref[]): never => refs.map((one) => toFluentCanvas(workflows, one)) as never;
  switch (ref.kind) {
    case 'task':
      return toCall(workflows, ref);
    case 'chain':
      return workflows.chain(...all(ref.steps)) as unknown as Untyped;
    case 'group':
      return workflows.group(all(ref.members)) as unknown as Untyped;
    case 'chunks':
      return toChunks(workflows, ref);
    case 'chord': {
      const body = toFluentCanvas(workflows, ref.body) as never;
      const recovery = RECOVERY_CLASSES[ref.recovery];
      return workflows.chord(all(ref.header), body, { recovery }) as unknown as Untyped;
    }
  }
}

/** What a class's tasks are made with, as far as the reference needs it. */
interface Maker {
  map(items?: readonly JsonValue[]): Untyped;
  starmap(items?: readonly JsonValue[]): Untyped;
  chunks(argLists: readonly JsonValue[], size: number): Untyped;
}

function makerOf(workflows: WorkflowService, name: string): Maker {
  return (workflows.tasks(ReferenceTasks) as unknown as Record<string, Maker>)[name] as Maker;
}

function toCall(workflows: WorkflowService, ref: TaskRef): Untyped {
  const options = optionsOf(ref);
  const call =
    ref.each === undefined
      ? (workflows.signature(ref.name, argsOf(ref), {
          immutable: ref.immutable === true,
        }) as unknown as Untyped)
      : makerOf(workflows, ref.name)[ref.each](ref.args[0] as JsonValue[] | undefined);
  // The time has to be over when the task runs, not when its call is written down.
  const { expires, ...others } = options;
  const set = Object.keys(others).length === 0 ? call : call.set(others);
  return expires === undefined ? set : set.set({ expires: new Date(expires) });
}

function toChunks(workflows: WorkflowService, { name, argLists, size, asGroup }: ChunksRef): Untyped {
  const chunks = makerOf(workflows, name).chunks(argLists, size);
  return asGroup === true ? chunks.group() : chunks;
}
