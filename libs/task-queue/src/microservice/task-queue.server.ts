import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { type CustomTransportStrategy, RpcException, Server } from '@nestjs/microservices';
import type { TaskQueueEngine } from '../engine/task-queue-engine.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { Registrations } from '../nest/discovery/registrations.js';
import {
  ConnectionWatch,
  type TaskQueueConnectionEvents,
  type TaskQueueStatus,
} from './connection-status.js';
import { redisOf } from './redis-of.js';
import type { TaskQueueContext } from './task-queue.context.js';

/** Names the transport, for handlers that only it serves: `@MessagePattern('sum', TASK_QUEUE_TRANSPORT)`. */
export const TASK_QUEUE_TRANSPORT: unique symbol = Symbol.for('nestjs-task-queue') as never;

/** Token of the options of the server. @internal */
export const SERVER_OPTIONS = 'TASK_QUEUE:SERVER_OPTIONS';

/** Options of `TaskQueueMicroserviceModule.register`. */
export interface TaskQueueServerOptions {
  /**
   * The queue of pattern handlers that name none.
   *
   * @defaultValue 'default'
   */
  readonly queue?: string;
  /**
   * The registration of pattern handlers that name none, whose connection `status`, `on()` and `unwrap()` show. The
   * workers of all registrations start and end with the server.
   *
   * @defaultValue the registration without a name, or the only one
   */
  readonly connection?: string;
}

/** What `TaskQueueServer#unwrap` gives. */
export interface TaskQueueServerInternals<Connection = unknown, Worker = unknown> {
  /** The ioredis client that the workers share: a `Redis` or a `Cluster`. */
  readonly connection: Connection;
  /** The BullMQ workers: one per queue and shard, and one for the steps of canvases. */
  readonly workers: readonly Worker[];
}

/**
 * Task queues as a transport of @nestjs/microservices: the workers of this application as a Nest microservice, which
 * serves the `@Task` methods of providers and the `@MessagePattern` and `@EventPattern` methods of controllers.
 *
 * An application has one, whatever the number of its `forRoot`s: it starts and ends the workers of all of them.
 *
 * ```ts
 * app.connectMicroservice({ strategy: app.get(TaskQueueServer) });
 * await app.startAllMicroservices();
 * ```
 */
@Injectable()
export class TaskQueueServer
  extends Server<TaskQueueConnectionEvents, TaskQueueStatus>
  implements CustomTransportStrategy, OnModuleInit
{
  override transportId: symbol = TASK_QUEUE_TRANSPORT;
  readonly #watch = new ConnectionWatch((status) => this._status$.next(status));

  constructor(
    private readonly registrations: Registrations,
    modules: ModulesContainer,
    @Inject(SERVER_OPTIONS) private readonly options: TaskQueueServerOptions,
  ) {
    super();
    // Nest names the strategy of a microservice here as soon as it is connected, long before it listens.
    modules.getRpcTargetRegistry<unknown>().subscribe((target) => {
      if (target === this) for (const { worker } of this.#engines()) worker.hold();
    });
  }

  /** @throws InvalidOptionsError when there is no `TaskQueueModule.forRoot` to serve */
  onModuleInit(): void {
    const engines = this.#engines();
    if (engines.length === 0) this.registrations.choose(this.options.connection);
    for (const { errors } of engines) errors.add(RpcException);
  }

  /**
   * Called by Nest when the microservice starts. The workers begin once the application has been bootstrapped too; which
   * of the two comes first does not matter.
   */
  listen(callback: (error?: unknown) => void): void {
    const engines = this.#engines();
    if (engines.some(({ worker }) => worker.stopped)) {
      callback(
        new BrokerUnavailableError('The workers of this application were stopped; they do not start again.'),
      );
      return;
    }
    const shown = this.#engine;
    if (shown.options.role === 'producer') {
      this.logger.warn("The role of this application is 'producer': its microservice serves nothing.");
    }
    // Not before: a start that fails leaves no connection open.
    shown.worker.whenServing(() => {
      const connection = redisOf(shown)?.connections.get('consume');
      if (connection !== undefined) this.#watch.follow(connection);
    });
    for (const { worker } of engines) worker.release();
    callback();
  }

  /** Called by Nest when the microservice ends: nothing more is fetched, what runs is drained. */
  async close(): Promise<void> {
    await Promise.all(this.#engines().map(({ worker }) => worker.stop()));
    this.#watch.letGo();
    this._status$.next('disconnected');
  }

  /** Listens to the connection of the workers, also before there is one. */
  on<Event extends keyof TaskQueueConnectionEvents>(
    event: Event,
    callback: TaskQueueConnectionEvents[Event],
  ): void {
    this.#watch.on(event as string, callback);
  }

  /** The parts of BullMQ and ioredis below: a `TaskQueueServerInternals`. @throws Error before the workers run */
  unwrap<T = TaskQueueServerInternals>(): T {
    const redis = redisOf(this.#engine);
    if (redis === undefined || !this.#engine.worker.serving) {
      throw new Error(
        'The workers have not started: call listen() or startAllMicroservices() and init() first.',
      );
    }
    const internals: TaskQueueServerInternals = {
      connection: redis.connections.get('consume'),
      workers: redis.bullmqWorkers,
    };
    return internals as T;
  }

  /** Runs a handler between the processing hooks, which instrumentation sets. @internal */
  around(context: TaskQueueContext, handle: () => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.runWithProcessingHooks(context, async (end) => {
        await handle().then(resolve, reject);
        try {
          end();
        } catch (error) {
          this.handleError(`A processing end hook failed: ${String(error)}`);
        }
      });
    });
  }

  /** The registration whose connection is shown. */
  get #engine(): TaskQueueEngine {
    return this.registrations.choose(this.options.connection);
  }

  #engines(): TaskQueueEngine[] {
    return [...this.registrations.explore().values()];
  }
}
