import { Logger } from '@nestjs/common';
import { ClientProxy, type ReadPacket, RpcException, type WritePacket } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import type { ApplyOptions } from '../canvas/call-options.js';
import type { CanvasData } from '../canvas/canvas-data.js';
import { prepareCall } from '../canvas/prepare-call.js';
import { makeSignature } from '../canvas/signature.js';
import { redisPlatform } from '../broker/redis-backend.js';
import { TaskQueueEngine } from '../engine/task-queue-engine.js';
import { BrokerUnavailableError, InvalidCanvasError } from '../errors/publish.errors.js';
import { TaskQueueError } from '../errors/task-queue.error.js';
import { ResultTimeoutError, WaitInsideTaskError } from '../errors/result.errors.js';
import { readDuration, readObject } from '../options/option-readers.js';
import { locateRedis } from '../options/resolve-connection.js';
import { assertQueueName } from '../options/option-readers.js';
import { resolveOptions } from '../options/resolve-options.js';
import type { TaskQueueModuleOptions } from '../options/task-queue-options.js';
import type { Clock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import { AsyncResult } from '../results/async-result.js';
import { insideTask } from '../task/task-context.js';
import {
  ConnectionWatch,
  type TaskQueueConnectionEvents,
  type TaskQueueStatus,
} from './connection-status.js';
import { redisOf } from './redis-of.js';
import { METADATA_HEADER } from './task-queue.context.js';
import {
  type RevokeOnUnsubscribe,
  type SendOptions,
  TaskQueueRecord,
  type TaskQueueRecordOptions,
} from './task-queue-record.js';

/** What a client does with every message that does not say otherwise itself. */
export interface TaskQueueClientDefaults extends SendOptions {
  /**
   * The queue of every message: that of the service behind this client.
   *
   * @defaultValue the queue that a handler in this application names, else 'default'
   */
  readonly queue?: string;
  /**
   * Whether `send()` may wait while a task is running here. A task that waits keeps its slot, and a worker whose slots
   * all wait for tasks of its own stands still.
   *
   * @defaultValue false
   */
  readonly allowInsideTask?: boolean;
}

/** Options of a `TaskQueueClient` with a connection of its own. */
export interface TaskQueueClientOptions
  extends
    TaskQueueClientDefaults,
    Pick<
      TaskQueueModuleOptions,
      'connection' | 'prefix' | 'shards' | 'publishTimeout' | 'errors' | 'codec'
    > {}

const DEFAULTS: readonly (keyof TaskQueueClientDefaults)[] = [
  'queue',
  'timeout',
  'revokeOnUnsubscribe',
  'allowInsideTask',
];
const OPTIONS: readonly (keyof TaskQueueClientOptions)[] = [
  'connection',
  'prefix',
  'shards',
  'publishTimeout',
  'errors',
  'codec',
  ...DEFAULTS,
];

type Pattern = ReadPacket['pattern'];
type Reply = (packet: WritePacket) => void;
type Packet = ReadPacket & { readonly metadata?: JsonValue };

/**
 * A client of @nestjs/microservices that publishes tasks: `send` waits for the result, `emit` does not. The pattern is
 * the name of the task, the payload its first argument; `@Task` methods are reached by their names as well.
 *
 * ```ts
 * ClientsModule.register([{ name: 'BILLING', customClass: TaskQueueClient, options: { connection: { url } } }])
 * ```
 *
 * `send` publishes when it is subscribed to, and gives the value, or the task's own error. `emit` publishes at once, and
 * gives the AsyncResult of the task.
 */
export class TaskQueueClient extends ClientProxy<TaskQueueConnectionEvents> {
  readonly #logger = new Logger('TaskQueueClient');
  readonly #defaults: TaskQueueClientDefaults;
  readonly #watch = new ConnectionWatch((status) => this._status$.next(status));
  readonly #openEngine: () => TaskQueueEngine;
  readonly #ownsEngine: boolean;
  #engine: TaskQueueEngine | undefined;

  /**
   * @param engineOfApp gives the engine of an application, whose connection is then used and left open;
   *   `TaskQueueMicroserviceModule.registerClient` does so
   * @throws InvalidOptionsError when an option cannot be read
   */
  constructor(options: TaskQueueClientOptions = {}, engineOfApp?: () => TaskQueueEngine) {
    super();
    const { queue, timeout, revokeOnUnsubscribe, allowInsideTask, ...connection } = readObject(
      '',
      options,
      engineOfApp === undefined ? OPTIONS : DEFAULTS,
    );
    if (queue !== undefined) assertQueueName('queue', queue);
    if (timeout !== undefined && timeout !== Infinity) readDuration('timeout', timeout, { min: 0 });
    this.#defaults = {
      ...(queue === undefined ? {} : { queue }),
      ...(timeout === undefined ? {} : { timeout }),
      ...(revokeOnUnsubscribe === undefined ? {} : { revokeOnUnsubscribe }),
      ...(allowInsideTask === undefined ? {} : { allowInsideTask }),
    };
    this.#ownsEngine = engineOfApp === undefined;
    if (engineOfApp === undefined) {
      const resolved = resolveOptions({ ...connection, role: 'producer' });
      locateRedis(resolved.connection);
      this.#openEngine = () => new TaskQueueEngine(resolved, this.#logger, redisPlatform);
    } else {
      this.#openEngine = engineOfApp;
    }
  }

  /** How the connection stands, from the first message on. */
  override get status(): Observable<TaskQueueStatus> {
    return super.status as Observable<TaskQueueStatus>;
  }

  /** @throws BrokerUnavailableError when Redis does not answer within the publish timeout */
  async connect(): Promise<void> {
    if (this.#engine === undefined) {
      this.#engine = this.#openEngine();
      this.#engine.errors.add(RpcException);
    }
    const connections = redisOf(this.#engine)?.connections;
    if (connections === undefined) return;
    this.#watch.follow(connections.get('publish'));
    await connections.ready('publish', this.#engine.options.publishTimeoutMs);
  }

  /** Closes the connection if it is the client's own. A later message opens it again. */
  async close(): Promise<void> {
    const engine = this.#engine;
    this.#engine = undefined;
    this.#watch.letGo();
    this._status$.next('disconnected');
    if (this.#ownsEngine) await engine?.close();
  }

  /** Listens to the connection, also before there is one. */
  override on<Event extends keyof TaskQueueConnectionEvents>(
    event: Event,
    callback: TaskQueueConnectionEvents[Event],
  ): void {
    this.#watch.on(event as string, callback);
  }

  /** The ioredis client that messages go out on: a `Redis` or a `Cluster`. @throws Error before `connect()` */
  unwrap<T>(): T {
    const connections = this.#engine && redisOf(this.#engine)?.connections;
    if (connections !== undefined) return connections.get('publish') as T;
    throw new Error('Not connected: call connect() or send a message first.');
  }

  /** Publishes a task and waits for what it comes to. The function that is returned ends the wait. */
  protected publish(packet: ReadPacket, reply: Reply): () => void {
    const giveUp = new AbortController();
    void this.#request(packet, giveUp.signal).then(
      (response) => reply({ response, isDisposed: true }),
      (err: unknown) => reply({ err }),
    );
    return () => giveUp.abort();
  }

  /** Publishes a task for whose end nobody waits. */
  protected async dispatchEvent<T = AsyncResult>(packet: ReadPacket): Promise<T> {
    try {
      return (await this.#publish(packet)) as T;
    } catch (error) {
      // Whoever emits need not listen, and a message that is lost should be heard of.
      this.#logger.warn(`The event ${this.#shown(packet.pattern)} was not published: ${String(error)}`);
      throw error;
    }
  }

  /** @throws InvalidCanvasError for a pattern that Nest cannot make a name of */
  #taskOf(pattern: Pattern): string {
    let task: unknown;
    try {
      task = this.normalizePattern(pattern);
    } catch {
      task = undefined;
    }
    // Nest gives back what is neither a text, a number nor an object, as it is.
    if (typeof task === 'string') return task;
    throw new InvalidCanvasError('root', 'no name of a task can be made of the pattern of the message');
  }

  /** In messages, which are no reason to fail. */
  #shown(pattern: Pattern): string {
    try {
      return this.#taskOf(pattern);
    } catch {
      return 'of a pattern that cannot be read';
    }
  }

  async #request(packet: ReadPacket, signal: AbortSignal): Promise<JsonValue> {
    const { timeout, revokeOnUnsubscribe, allowInsideTask } = { ...this.#defaults, ...optionsOf(packet) };
    if (insideTask() && allowInsideTask !== true) {
      throw new WaitInsideTaskError(this.#shown(packet.pattern));
    }
    const handle = await this.#publish(packet);
    try {
      return await handle.get({
        signal,
        allowInsideTask: true,
        ...(timeout === undefined ? {} : { timeout }),
      });
    } catch (error) {
      const abandoned = signal.aborted || error instanceof ResultTimeoutError;
      if (abandoned && revokeOnUnsubscribe !== undefined && revokeOnUnsubscribe !== false) {
        await this.#revoke(handle, revokeOnUnsubscribe);
      }
      throw error;
    }
  }

  async #revoke(handle: AsyncResult, how: RevokeOnUnsubscribe): Promise<void> {
    try {
      await handle.revoke({ terminate: how !== true && how !== false && how.terminate });
    } catch (error) {
      this.#logger.warn(`Task ${handle.id}, for which nobody waits, was not revoked: ${String(error)}`);
    }
  }

  async #publish(packet: Packet): Promise<AsyncResult> {
    const engine = this.#engine;
    if (engine === undefined) throw new BrokerUnavailableError('The client was closed.');
    return new AsyncResult(await engine.publish(this.#canvasOf(packet, engine.clock)), engine);
  }

  /** @throws InvalidCanvasError also where the message holds what throws when it is looked at */
  #canvasOf({ pattern, data, metadata }: Packet, clock: Clock): CanvasData {
    const task = this.#taskOf(pattern);
    try {
      const record = isRecord(data) ? data : new TaskQueueRecord(data, {});
      const { timeout: _, revokeOnUnsubscribe: __, ...call } = record.options as TaskQueueRecordOptions;
      const signature = makeSignature(task, record.data === undefined ? [] : [record.data]);
      const options: ApplyOptions = {
        ...call,
        queue: call.queue ?? this.#defaults.queue,
        headers: metadata === undefined ? call.headers : { ...call.headers, [METADATA_HEADER]: metadata },
      };
      return prepareCall(signature, [], options, clock);
    } catch (error) {
      if (error instanceof TaskQueueError) throw error;
      throw new InvalidCanvasError('root', `the message to "${task}" holds something that cannot be read`);
    }
  }
}

/** A proxy of the caller's may throw at being asked what it is. */
function isRecord(data: unknown): data is TaskQueueRecord {
  try {
    return data instanceof TaskQueueRecord;
  } catch {
    return false;
  }
}

function optionsOf({ data }: ReadPacket): SendOptions {
  return isRecord(data) ? (data.options as TaskQueueRecordOptions) : {};
}
