import { setTimeout as pause } from 'node:timers/promises';
import type { ModuleMetadata, Type } from '@nestjs/common';
import type { JsonValue, TaskQueueModuleOptions, UntypedCanvas, WorkflowService } from 'nestjs-task-queue';
import { ConformanceTasks, Diary, EvenCount, HookTasks } from './tasks.js';

/** Where the cases run: on a real Redis, or without one. What they say holds in both. */
export interface World {
  start(
    providers: NonNullable<ModuleMetadata['providers']>,
    options: TaskQueueModuleOptions,
  ): Promise<LiveApp>;
}

/** An application whose workers run what is published. */
export interface LiveApp {
  readonly workflows: WorkflowService;
  get<T>(type: Type<T>): T;
  /** Waits until nothing waits, runs or is delayed. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

/** One case's application, with short names for what cases do again and again. */
export class Stage {
  readonly diary: Diary;

  constructor(readonly app: LiveApp) {
    this.diary = app.get(Diary);
  }

  get workflows(): WorkflowService {
    return this.app.workflows;
  }

  /** A call of one of the tasks. */
  call(task: string, ...args: JsonValue[]): Fluent {
    return callOf(this.workflows, task, args);
  }

  /** Publishes a canvas and waits for its end, and for that of its callbacks. */
  async run(canvas: object, options: object = {}): Promise<Handle> {
    const handle = await this.publish(canvas, options);
    await handle.get({ propagate: false });
    await this.app.quiet();
    return handle;
  }

  publish(canvas: object, options: object = {}): Promise<Handle> {
    return (canvas as UntypedCanvas<JsonValue>).applyAsync([], options) as Promise<Handle>;
  }
}

export type Handle = ReturnType<typeof WorkflowService.prototype.result<JsonValue>>;

/** A canvas of any kind: cases mix them as no type would follow. */
export interface Fluent {
  link(callback: object): Fluent;
  linkError(errback: object, options?: { readonly each: boolean }): Fluent;
}

function callOf(workflows: WorkflowService, task: string, args: readonly JsonValue[]): Fluent {
  return workflows.signature(task, args) as unknown as Fluent;
}

/** A stage for each case of the block that this is called in. */
export function useStage(
  world: World,
  options: TaskQueueModuleOptions = {},
  more: NonNullable<ModuleMetadata['providers']> = [],
): { readonly stage: Stage; start(over: TaskQueueModuleOptions): Promise<Stage> } {
  let stage: Stage | undefined;
  const close = async (): Promise<void> => {
    const last = stage;
    stage = undefined;
    await last?.app.close();
  };
  const start = async (over: TaskQueueModuleOptions): Promise<Stage> => {
    await close();
    const providers = [Diary, ConformanceTasks, HookTasks, EvenCount, ...more];
    stage = new Stage(await world.start(providers, { ...options, ...over }));
    return stage;
  };
  beforeEach(() => start({}));
  afterEach(close);
  return {
    get stage() {
      if (stage === undefined) throw new Error('no case is running');
      return stage;
    },
    start,
  };
}

/** Waits for a state that nobody announces. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within 20 s: ${what}`);
    await pause(10);
  }
}
