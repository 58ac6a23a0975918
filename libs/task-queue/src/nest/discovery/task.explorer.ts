import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { DuplicateTaskError, InvalidTaskError } from '../../errors/configuration.errors.js';
import { didYouMean } from '../../options/did-you-mean.js';
import type { TaskRegistry } from '../../task/task-registry.js';
import {
  hasDeclarations,
  hookDeclarationsOf,
  retryOptionsOf,
  type TaskClass,
  type TaskDeclaration,
  taskDeclarationOf,
  taskMetadataOf,
  toTaskMetadata,
} from '../decorators/metadata.js';
import { compilePolicies } from './compile-policies.js';
import { HandlerFactory } from './handler.factory.js';
import { classOf, TaskProvider } from './task-provider.js';

/** Finds the task methods and hooks of all providers of all modules. */
@Injectable()
export class TaskExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly handlers: HandlerFactory,
  ) {}

  /**
   * Fills a registry. To be called once, when all modules are there: in `onModuleInit` or later.
   *
   * @throws DuplicateTaskError when two methods have the same name, or one class is provided twice
   * @throws InvalidTaskError when a task or a hook cannot be served as it is declared
   */
  explore(registry: TaskRegistry): void {
    this.#refuseControllers();
    const providers = this.#providers();
    const owners = new Map<string, TaskProvider>();
    for (const provider of providers) this.#addTasks(provider, registry, owners);
    // Hooks come second: they may name tasks of any class.
    for (const provider of providers) this.#addHooks(provider, registry);
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

  #addTasks(provider: TaskProvider, registry: TaskRegistry, owners: Map<string, TaskProvider>): void {
    const { type } = provider;
    for (const method of this.#methodsOf(type)) {
      const source = `${type.name}.${method}`;
      const declaration = taskDeclarationOf(type, method);
      const retries = retryOptionsOf(type, method);
      if (declaration === undefined) {
        if (retries.length > 0) throw new InvalidTaskError(`${source} has @Retry, but no @Task.`);
        continue;
      }
      const { name, queue, options } = toTaskMetadata(type, method, declaration);
      refuseSecond(name, owners.get(name), provider, registry.get(name)?.source, source);
      registry.add({
        name,
        queue,
        source,
        options,
        policies: compilePolicies(source, retries),
        invoke: this.handlers.createTask(provider, method, servedPlan(source, declaration)),
      });
      owners.set(name, provider);
    }
  }

  #addHooks(provider: TaskProvider, registry: TaskRegistry): void {
    const { type } = provider;
    for (const method of this.#methodsOf(type)) {
      const source = `${type.name}.${method}`;
      for (const { kind, tasks } of hookDeclarationsOf(type, method)) {
        registry.addHook({
          kind,
          source,
          tasks: hookedTasks(source, type, tasks, registry),
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

/** Full names of the tasks that a hook is for. A method of the class wins over a task of the same name. */
function hookedTasks(
  source: string,
  type: TaskClass,
  tasks: readonly string[],
  registry: TaskRegistry,
): string[] {
  const own = taskMetadataOf(type);
  if (tasks.length === 0) {
    if (own.size > 0) return [...own.values()].map((task) => task.name);
    throw new InvalidTaskError(`${source} is a hook of a class without tasks: name the tasks it is for.`);
  }
  const names = tasks.map((task) => {
    const name = own.get(task)?.name ?? registry.get(task)?.name;
    if (name !== undefined) return name;
    const known = [...own.keys(), ...registry.all().map((definition) => definition.name)];
    throw new InvalidTaskError(
      `${source} is a hook of ${JSON.stringify(task)}, which is neither a task method of ${type.name} ` +
        `nor the name of a task of this application${didYouMean(task, known)}.`,
    );
  });
  return [...new Set(names)];
}

function refuseSecond(
  name: string,
  first: TaskProvider | undefined,
  second: TaskProvider,
  firstSource: string | undefined,
  secondSource: string,
): void {
  if (first === undefined || firstSource === undefined) return;
  const hint =
    first.type === second.type
      ? ' (it is the same class: provide it in one module, and export it from there)'
      : '';
  throw new DuplicateTaskError(
    name,
    `${firstSource} in ${first.module}`,
    `${secondSource} in ${second.module}${hint}`,
  );
}
