import { Inject, Injectable, Optional } from '@nestjs/common';
import type {
  BreakersHealthOptions,
  BrokerHealthOptions,
  CanvasesHealthOptions,
  FailuresHealthOptions,
  HealthOptions,
  QueuesHealthOptions,
  WorkersHealthOptions,
} from './health-options.js';
import { resolveHealthOptions } from './resolve-health-options.js';
import { type CallOptions, HEALTH_OPTIONS, TaskQueueHealth } from './task-queue-health.js';
import type { HealthStatus, Verdict } from './verdict.js';

/** What terminus takes from an indicator; spelt without terminus, which an application need not have. */
export type TaskQueueHealthResult<Key extends string = string> = Record<
  Key,
  { status: HealthStatus; reason?: string } & Record<string, unknown>
>;

/** Options of one indicator, over those of the module. */
export type IndicatorOptions<Section> = CallOptions<Section> & Pick<HealthOptions, 'degradedAs'>;

/**
 * Health indicators for @nestjs/terminus.
 *
 * ```ts
 * @Get('health') @HealthCheck()
 * check() {
 *   return this.health.check([() => this.taskQueue.broker('redis'), () => this.taskQueue.workers('workers')]);
 * }
 * ```
 *
 * Why something is not `up` stands in `reason`, beside the details of its verdict.
 */
@Injectable()
export class TaskQueueHealthIndicator {
  constructor(
    @Inject(TaskQueueHealth) private readonly health: TaskQueueHealth,
    @Optional() @Inject(HEALTH_OPTIONS) private readonly options: HealthOptions = {},
  ) {}

  /** Everything at once: see {@link TaskQueueHealth.check}. */
  async check<Key extends string>(key: Key, options?: HealthOptions): Promise<TaskQueueHealthResult<Key>> {
    const { status, reasons, probes } = await this.health.check(options);
    return this.#result(key, { status, reasons, details: probes }, options?.degradedAs);
  }

  /** For what restarts processes: see {@link TaskQueueHealth.liveness}. */
  async liveness<Key extends string>(key: Key, options?: HealthOptions): Promise<TaskQueueHealthResult<Key>> {
    return this.#result(key, await this.health.liveness(options), options?.degradedAs);
  }

  /** For what sends requests: see {@link TaskQueueHealth.readiness}. */
  async readiness<Key extends string>(
    key: Key,
    options?: HealthOptions,
  ): Promise<TaskQueueHealthResult<Key>> {
    return this.#result(key, await this.health.readiness(options), options?.degradedAs);
  }

  /** Redis: see {@link TaskQueueHealth.broker}. */
  broker<Key extends string>(
    key: Key,
    options?: IndicatorOptions<BrokerHealthOptions>,
  ): Promise<TaskQueueHealthResult<Key>> {
    return this.#probe(key, options, (own) => this.health.broker(own));
  }

  /** The workers of this application: see {@link TaskQueueHealth.workers}. */
  workers<Key extends string>(
    key: Key,
    options?: IndicatorOptions<WorkersHealthOptions>,
  ): Promise<TaskQueueHealthResult<Key>> {
    return this.#probe(key, options, (own) => this.health.workers(own));
  }

  /** What waits: see {@link TaskQueueHealth.queues}. */
  queues<Key extends string>(
    key: Key,
    options?: IndicatorOptions<QueuesHealthOptions>,
  ): Promise<TaskQueueHealthResult<Key>> {
    return this.#probe(key, options, (own) => this.health.queues(own));
  }

  /** What failed: see {@link TaskQueueHealth.failures}. */
  failures<Key extends string>(
    key: Key,
    options?: IndicatorOptions<FailuresHealthOptions>,
  ): Promise<TaskQueueHealthResult<Key>> {
    return this.#probe(key, options, (own) => this.health.failures(own));
  }

  /** Canvases that stand still: see {@link TaskQueueHealth.canvases}. */
  canvases<Key extends string>(
    key: Key,
    options?: IndicatorOptions<CanvasesHealthOptions>,
  ): Promise<TaskQueueHealthResult<Key>> {
    return this.#probe(key, options, (own) => this.health.canvases(own));
  }

  /** Resources that tasks are kept from: see {@link TaskQueueHealth.breakers}. */
  breakers<Key extends string>(
    key: Key,
    options?: IndicatorOptions<BreakersHealthOptions>,
  ): Promise<TaskQueueHealthResult<Key>> {
    return this.#probe(key, options, (own) => this.health.breakers(own));
  }

  async #probe<Key extends string, Section extends object>(
    key: Key,
    options: IndicatorOptions<Section> = {} as IndicatorOptions<Section>,
    probe: (own: CallOptions<Section>) => Promise<Verdict>,
  ): Promise<TaskQueueHealthResult<Key>> {
    const { degradedAs, ...own } = options;
    return this.#result(key, await probe(own as unknown as CallOptions<Section>), degradedAs);
  }

  #result<Key extends string>(
    key: Key,
    { status, reasons = [], details }: { status: HealthStatus; reasons?: readonly string[]; details: object },
    asked?: HealthOptions['degradedAs'],
  ): TaskQueueHealthResult<Key> {
    const { degradedAs } = resolveHealthOptions({
      degradedAs: asked ?? this.options.degradedAs ?? 'degraded',
    });
    const result = {
      status: status === 'degraded' ? degradedAs : status,
      ...(status === 'degraded' && degradedAs !== 'degraded' ? { degraded: true } : {}),
      ...(reasons.length === 0 ? {} : { reason: reasons.join('; ') }),
      ...details,
    };
    return { [key]: result } as TaskQueueHealthResult<Key>;
  }
}
