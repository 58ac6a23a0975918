import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { DuplicateTaskError, InvalidTaskError } from '../../errors/configuration.errors.js';
import { didYouMean } from '../../options/did-you-mean.js';
import { DEFAULT_CONNECTION } from '../../options/resolve-options.js';
import type { TaskDefinition } from '../../task/task-definition.js';
import type { TaskRegistry } from '../../task/task-registry.js';
import {
  hasDeclarations,
  hookDeclarationsOf,
  retryOptionsOf,
  type TaskClass,
  type TaskDeclaration,
  taskDeclarationOf,
  type TaskMetadata,
  taskMetadataOf,
  toTaskMetadata,
} from '../decorators/metadata.js';
import { compilePolicies } from './compile-policies.js';
import { HandlerFactory } from './handler.factory.js';
import { chooseRegistration } from './registrations.js';
import { classOf, TaskProvider } from './task-provider.js';

/** A task method of a provider. */
interface FoundTask {
  readonly provider: TaskProvider;
  readonly method: string;
  /** `ClassName.methodName`, for messages. */
  readonly source: string;
  readonly declaration: TaskDeclaration;
  readonly metadata: TaskMetadata;
  /** The name of the registration that it belongs to. */
  readonly connection: string;
}

/** Finds the task methods and hooks of all providers of all modules. */
@Injectable()
export class TaskExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly handlers: HandlerFactory,
  ) {}

  /**
   * Fills the registry of one registration with the tasks that belong to it, and their hooks. To be called once,
   * when all modules are there: in `onModuleInit` or later.
   *
   * @param names the names of all registrations of the application
   * @throws DuplicateTaskError when two methods have the same name, or one class is provided twice; also when they
   *   belong to different registrations, because hooks, logs and failures say no more of a task than its name
   * @throws InvalidTaskError when a task or a hook cannot be served as it is declared
   */
  explore(
    registry: TaskRegistry,
    name: string = DEFAULT_CONNECTION,
    names: readonly string[] = [DEFAULT_CONNECTION],
  ): void {
    this.#refuseControllers();
    const providers = this.#providers();
    const tasks = new Map<string, FoundTask>();
    for (const provider of providers) this.#findTasks(provider, names, tasks);
    const own = new Map([...tasks].filter(([, task]) => task.connection === name));
    for (const task of own.values()) registry.add(this.#definition(task));
    // Hooks come second: they may name tasks of any class.
    for (const provider of providers) this.#addHooks(provider, tasks, own, registry);
  }

  #providers(): TaskProvider[] {
    const seen = new Set<unknown>();
    const found: TaskProvider[] = [];
    for (const wrapper of this.discovery.getProviders()) {
      const type = classOf(wrapper);
      if (type === undefined || !hasDeclarations(type)) continue;
      const provider = new TaskProvider(wrapper, type);
      // One object behind two tokens (a factory that hands out another provider) is one provider.
      if (!provider.scoped) {
        if (seen.has(provider.instance)) continue;
        seen.add(provider.instance);
      }
      found.push(provider);
    }
    return found;
  }

  #findTasks(provider: TaskProvider, names: readonly string[], tasks: Map<string, FoundTask>): void {
    const { type } = provider;
    for (const method of this.#methodsOf(type)) {
      const source = `${type.name}.${method}`;
      const declaration = taskDeclarationOf(type, method);
      if (declaration === undefined) {
        if (retryOptionsOf(type, method).length === 0) continue;
        throw new InvalidTaskError(`${source} has @Retry, but no @Task.`);
      }
      const metadata = toTaskMetadata(type, method, declaration);
      const connection = connectionOf(source, metadata, names);
      const found = { provider, method, source, declaration, metadata, connection };
      refuseSecond(tasks.get(metadata.name), found);
      tasks.set(metadata.name, found);
    }
  }

  #definition({ provider, method, source, declaration, metadata }: FoundTask): TaskDefinition {
    const { name, queue, options } = metadata;
    return {
      name,
      queue,
      source,
      options,
      policies: compilePolicies(source, retryOptionsOf(provider.type, method)),
      invoke: this.handlers.createTask(provider, method, servedPlan(source, declaration)),
    };
  }

  #addHooks(
    provider: TaskProvider,
    tasks: ReadonlyMap<string, FoundTask>,
    own: ReadonlyMap<string, FoundTask>,
    registry: TaskRegistry,
  ): void {
    const { type } = provider;
    for (const method of this.#methodsOf(type)) {
      const source = `${type.name}.${method}`;
      for (const { kind, tasks: named } of hookDeclarationsOf(type, method)) {
        const hooked = hookedTasks(source, type, named, tasks).filter((task) => own.has(task));
        if (hooked.length === 0) continue;
        registry.addHook({
          kind,
          source,
          tasks: hooked,
          invoke: this.handlers.createHook(provider, method, kind),
        });
      }
    }
  }

  #refuseControllers(): void {
    for (const { metatype } of this.discovery.getControllers()) {
      const [method] = typeof metatype === 'function' ? taskMetadataOf(metatype as TaskClass).keys() : [];
      if (method === undefined) continue;
      throw new InvalidTaskError(
        `${metatype?.name}.${method} has @Task, but ${metatype?.name} is a controller. Move the task to a provider.`,
      );
    }
  }

  #methodsOf(type: TaskClass): string[] {
    return this.scanner.getAllMethodNames(type.prototype as object);
  }
}

function servedPlan(source: string, { parameters }: TaskDeclaration) {
  if (parameters.kind !== 'unknown') return parameters;
  throw new InvalidTaskError(
    `${source}: this build emits no types of parameters, so it cannot be seen which of them are arguments and ` +
      `which is the TaskContext. Enable emitDecoratorMetadata, or put @Ctx() or @Arg() on the parameters.`,
  );
}

/** @throws InvalidTaskError when it cannot be told to which registration a task belongs */
function connectionOf(source: string, { connection }: TaskMetadata, names: readonly string[]): string {
  const choice = chooseRegistration(connection, names);
  if ('name' in choice) return choice.name;
  throw new InvalidTaskError(
    `${source}: ${choice.problem}. Say with @Task({ connection: '…' }), or for all tasks of its class with ` +
      `@Tasks({ connection: '…' }), to which registration it belongs.`,
  );
}

/** Full names of the tasks that a hook is for. A method of the class wins over a task of the same name. */
function hookedTasks(
  source: string,
  type: TaskClass,
  named: readonly string[],
  tasks: ReadonlyMap<string, FoundTask>,
): string[] {
  const own = taskMetadataOf(type);
  if (named.length === 0) {
    if (own.size > 0) return [...own.values()].map((task) => task.name);
    throw new InvalidTaskError(`${source} is a hook of a class without tasks: name the tasks it is for.`);
  }
  const names = named.map((task) => {
    const name = own.get(task)?.name ?? tasks.get(task)?.metadata.name;
    if (name !== undefined) return name;
    throw new InvalidTaskError(
      `${source} is a hook of ${JSON.stringify(task)}, which is neither a task method of ${type.name} ` +
        `nor the name of a task of this application${didYouMean(task, [...own.keys(), ...tasks.keys()])}.`,
    );
  });
  return [...new Set(names)];
}

function refuseSecond(first: FoundTask | undefined, second: FoundTask): void {
  if (first === undefined) return;
  const hint =
    first.provider.type === second.provider.type
      ? ' (it is the same class: provide it in one module, and export it from there)'
      : '';
  throw new DuplicateTaskError(
    second.metadata.name,
    `${first.source} in ${first.provider.module}`,
    `${second.source} in ${second.provider.module}${hint}`,
  );
}
