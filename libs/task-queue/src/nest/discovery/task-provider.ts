import { type ContextId, ContextIdFactory, type DiscoveryService, ModuleRef } from '@nestjs/core';
import type { TaskClass } from '../decorators/metadata.js';
import { REQUEST_CONTEXT_ID } from '../decorators/nest-internals.js';

/** A provider as the discovery hands it out. */
export type ProviderWrapper = ReturnType<DiscoveryService['getProviders']>[number];

type Methods = Record<string, (...args: unknown[]) => unknown>;

/** An instance for one attempt, and the sub-tree of the injector that it belongs to. */
export interface ScopedInstance {
  readonly instance: Methods;
  readonly contextId: ContextId;
}

/** A provider or controller whose class declares tasks or hooks. */
export class TaskProvider {
  constructor(
    private readonly wrapper: ProviderWrapper,
    /** The concrete class: that of the instance where a factory or a value provides it. */
    readonly type: TaskClass,
  ) {}

  get id(): string {
    return this.wrapper.id;
  }

  /** The name of the module that provides it. */
  get module(): string {
    return this.wrapper.host?.name ?? 'an unknown module';
  }

  /** The key of the module in Nest's container. */
  get moduleKey(): string {
    return this.wrapper.host?.token ?? '';
  }

  /** Whether each attempt gets an instance of its own, because of its scope or that of something it needs. */
  get scoped(): boolean {
    return this.wrapper.isTransient || !this.wrapper.isDependencyTreeStatic();
  }

  /** The only instance of a provider that is not scoped. */
  get instance(): Methods {
    return this.wrapper.instance as Methods;
  }

  /** Whether Nest counts it among the providers that handle something, with request-scoped globals. */
  get isEntry(): boolean {
    return this.wrapper.host?.entryProviders.includes(this.wrapper) ?? false;
  }

  /** Whether Nest instantiates this guard, interceptor, pipe or filter class for it. */
  instantiates(enhancer: unknown): boolean {
    return this.wrapper.host?.injectables.has(enhancer as never) ?? false;
  }

  /** Makes an instance, with everything request-scoped below it, for one request: what `@Inject(REQUEST)` gives. */
  async resolve(request: object): Promise<ScopedInstance> {
    const moduleRef = this.wrapper.host?.getProviderByKey(ModuleRef).instance as ModuleRef;
    const contextId = ContextIdFactory.getByRequest(request);
    // Whoever asks for the context of this request later gets the same one.
    Object.defineProperty(request, REQUEST_CONTEXT_ID, { value: contextId });
    const durable = this.wrapper.isDependencyTreeDurable();
    moduleRef.registerRequestByContextId(
      durable ? contextId.payload : Object.assign(request, contextId.payload),
      contextId,
    );
    const instance = await moduleRef.resolve<Methods>(this.wrapper.token as never, contextId, {
      strict: true,
    });
    return { instance, contextId };
  }
}

/**
 * The class of a provider's instances. What a request-scoped factory makes is not known before it runs, so
 * its token stands for it where that is a class.
 *
 * @returns undefined for aliases and for what has no class
 */
export function classOf(wrapper: ProviderWrapper): TaskClass | undefined {
  if (wrapper.isAlias) return undefined;
  if (!wrapper.isNotMetatype) return asClass(wrapper.metatype);
  const instance: unknown = wrapper.instance;
  if (instance === null || instance === undefined) {
    return wrapper.isDependencyTreeStatic() ? undefined : asClass(wrapper.token);
  }
  if (typeof instance !== 'object') return undefined;
  const prototype = Object.getPrototypeOf(instance) as { constructor?: unknown } | null;
  return asClass(prototype?.constructor);
}

function asClass(type: unknown): TaskClass | undefined {
  return typeof type === 'function' && typeof type.prototype === 'object' && type.prototype !== null
    ? (type as unknown as TaskClass)
    : undefined;
}
