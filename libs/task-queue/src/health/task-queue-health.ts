import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit, Optional } from '@nestjs/common';
import { Registrations } from '../nest/discovery/registrations.js';
import type { BreakersDetails } from './breakers.probe.js';
import type { BrokerDetails } from './broker.probe.js';
import type { CanvasesDetails } from './canvases.probe.js';
import { EngineProbes } from './engine-probes.js';
import { EventLoopMonitor } from './event-loop-monitor.js';
import type { FailuresDetails } from './failures.probe.js';
import type {
  BreakersHealthOptions,
  BrokerHealthOptions,
  CanvasesHealthOptions,
  FailuresHealthOptions,
  HealthOptions,
  QueuesHealthOptions,
  WorkersHealthOptions,
} from './health-options.js';
import type { QueuesDetails } from './queues.probe.js';
import {
  overrideOptions,
  type ResolvedHealthOptions,
  resolveHealthOptions,
} from './resolve-health-options.js';
import { type HealthStatus, reasonsOf, type Verdict, worstOf } from './verdict.js';
import type { WorkersDetails } from './workers.probe.js';

/** Token of the options that `TaskQueueHealthModule.forRoot` was given. */
export const HEALTH_OPTIONS = 'TASK_QUEUE:HEALTH_OPTIONS';

/** Options of one look, over those of the module. */
export type CallOptions<Section> = Section & Pick<HealthOptions, 'timeout' | 'connection'>;

/** What every probe found. */
export interface HealthReport {
  /** The worst of all. */
  readonly status: HealthStatus;
  /** Why it is not `up`, each with the name of its probe in front. */
  readonly reasons: readonly string[];
  readonly probes: {
    readonly broker: Verdict<BrokerDetails>;
    readonly workers: Verdict<WorkersDetails>;
    readonly queues: Verdict<QueuesDetails>;
    readonly failures: Verdict<FailuresDetails>;
    readonly canvases: Verdict<CanvasesDetails>;
    readonly breakers: Verdict<BreakersDetails>;
  };
}

/** What taking and publishing work hangs on. */
export interface ReadinessDetails {
  readonly broker: Verdict<BrokerDetails>;
  readonly workers: Verdict<WorkersDetails>;
}

/**
 * The health of a task queue as plain verdicts, without terminus and without HTTP.
 *
 * Every method answers within its `timeout` (and a moment), also when Redis is frozen or gone, opens no connection and
 * throws for nothing that it finds; what was down is `up` again by itself as soon as it is. An InvalidOptionsError says
 * that the options of a call cannot be read, or that the application has no such `connection`.
 *
 * ```ts
 * const report = await health.check();
 * if (report.status !== 'up') logger.warn(report.reasons.join('; '));
 * ```
 */
@Injectable()
export class TaskQueueHealth implements OnModuleInit, OnApplicationShutdown {
  readonly #eventLoop = new EventLoopMonitor();
  readonly #probes = new Map<string | undefined, EngineProbes>();
  readonly #resolved: ResolvedHealthOptions;

  /** @throws InvalidOptionsError for an option that cannot be read */
  constructor(
    @Inject(Registrations) private readonly registrations: Registrations,
    @Optional() @Inject(HEALTH_OPTIONS) private readonly options: HealthOptions = {},
  ) {
    this.#resolved = resolveHealthOptions(options);
  }

  onModuleInit(): void {
    this.#eventLoop.start();
    if (this.#resolved.connection !== undefined) this.#of(this.#resolved);
  }

  onApplicationShutdown(): void {
    this.#eventLoop.stop();
  }

  /** Everything at once. */
  async check(options?: HealthOptions): Promise<HealthReport> {
    const resolved = this.#resolve(options);
    const engine = this.#of(resolved);
    const [broker, workers, queues, failures, canvases, breakers] = await Promise.all([
      engine.broker(resolved),
      engine.workers(resolved),
      engine.queues(resolved),
      engine.failures(resolved),
      engine.canvases(resolved),
      engine.breakers(resolved),
    ]);
    const probes = { broker, workers, queues, failures, canvases, breakers };
    const verdicts: [string, Verdict][] = Object.entries(probes);
    return {
      status: worstOf(verdicts.map(([, { status }]) => status)),
      reasons: verdicts.flatMap(([name, verdict]) =>
        reasonsOf(verdict).map((reason) => `${name}: ${reason}`),
      ),
      probes,
    };
  }

  /**
   * Whether the process does what only a restart would bring back otherwise: `down` when a fetch loop is dead although
   * Redis answers, or the event loop is blocked. A Redis that is away leaves it `up`.
   */
  async liveness(options?: HealthOptions): Promise<Verdict<WorkersDetails>> {
    const resolved = this.#resolve(options);
    return this.#of(resolved).liveness(resolved);
  }

  /**
   * Whether work can be taken and published: `down` while Redis does not answer or cannot be written to, before the
   * workers have started, when they have stopped fetching, and from the beginning of the shutdown on.
   */
  async readiness(options?: HealthOptions): Promise<Verdict<ReadinessDetails>> {
    const resolved = this.#resolve(options);
    const engine = this.#of(resolved);
    const [broker, workers] = await Promise.all([engine.broker(resolved), engine.workers(resolved)]);
    const details = { broker, workers };
    const status = worstOf([broker.status, workers.status]);
    if (status === 'up') return { status, details };
    const reasons = [broker, workers].filter((part) => part.status === status).flatMap(reasonsOf);
    return { status, reasons, details };
  }

  /** Whether Redis answers, can be written to, and keeps what it is given. */
  async broker(options: CallOptions<BrokerHealthOptions> = {}): Promise<Verdict<BrokerDetails>> {
    const resolved = this.#resolveOne('broker', options);
    return this.#of(resolved).broker(resolved);
  }

  /** Whether this application's workers fetch tasks, which ones, and whether its event loop is free. */
  async workers(options: CallOptions<WorkersHealthOptions> = {}): Promise<Verdict<WorkersDetails>> {
    const resolved = this.#resolveOne('workers', options);
    return this.#of(resolved).workers(resolved);
  }

  /** How much waits in each queue, for how long, and whether any worker serves it. */
  async queues(options: CallOptions<QueuesHealthOptions> = {}): Promise<Verdict<QueuesDetails>> {
    const resolved = this.#resolveOne('queues', options);
    return this.#of(resolved).queues(resolved);
  }

  /** How many failures are kept. */
  async failures(options: CallOptions<FailuresHealthOptions> = {}): Promise<Verdict<FailuresDetails>> {
    const resolved = this.#resolveOne('failures', options);
    return this.#of(resolved).failures(resolved);
  }

  /** Whether canvases have been waiting for what is below them for too long. */
  async canvases(options: CallOptions<CanvasesHealthOptions> = {}): Promise<Verdict<CanvasesDetails>> {
    const resolved = this.#resolveOne('canvases', options);
    return this.#of(resolved).canvases(resolved);
  }

  /** Whether breakers keep tasks from the resources that they need. */
  async breakers(options: CallOptions<BreakersHealthOptions> = {}): Promise<Verdict<BreakersDetails>> {
    const resolved = this.#resolveOne('breakers', options);
    return this.#of(resolved).breakers(resolved);
  }

  #resolve(options: HealthOptions | undefined): ResolvedHealthOptions {
    return options === undefined
      ? this.#resolved
      : resolveHealthOptions(overrideOptions(this.options, options));
  }

  #resolveOne(
    section: keyof HealthReport['probes'],
    { timeout, connection, ...own }: CallOptions<object>,
  ): ResolvedHealthOptions {
    return this.#resolve({
      ...(timeout === undefined ? {} : { timeout }),
      ...(connection === undefined ? {} : { connection }),
      [section]: own,
    });
  }

  #of({ connection }: ResolvedHealthOptions): EngineProbes {
    let probes = this.#probes.get(connection);
    if (probes === undefined) {
      probes = new EngineProbes(this.registrations.choose(connection), this.#eventLoop);
      this.#probes.set(connection, probes);
    }
    return probes;
  }
}
