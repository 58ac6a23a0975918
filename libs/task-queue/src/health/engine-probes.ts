import type { TaskQueueEngine } from '../engine/task-queue-engine.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { bounded, pause } from '../primitives/bounded.js';
import type { EventLoopMonitor } from './event-loop-monitor.js';
import { type BreakersDetails, judgeBreakers } from './breakers.probe.js';
import { type BrokerDetails, judgeBroker } from './broker.probe.js';
import { type CanvasesDetails, judgeCanvases } from './canvases.probe.js';
import { type FailuresDetails, judgeFailures } from './failures.probe.js';
import type { ResolvedHealthOptions } from './resolve-health-options.js';
import { judgeQueues, type QueuesDetails } from './queues.probe.js';
import { downBecause, type Verdict } from './verdict.js';
import {
  isStuck,
  judgeLiveness,
  judgeWorkers,
  type WorkersDetails,
  type WorkersSeen,
} from './workers.probe.js';

/**
 * A Redis that comes back answers the PING first; the fetch loops, which it kept waiting, get this long to move before
 * they are called stuck.
 */
const SECOND_LOOK_MS = 250;

/** Looks at one engine, and judges what it sees. */
export class EngineProbes {
  constructor(
    private readonly engine: TaskQueueEngine,
    private readonly eventLoop: EventLoopMonitor,
  ) {}

  broker({ timeoutMs, broker }: ResolvedHealthOptions): Promise<Verdict<BrokerDetails>> {
    const { inspection } = this.engine.backend;
    return orDown(async () => {
      const { latencyMs } = await inspection.ping(timeoutMs);
      return judgeBroker({ latencyMs, servers: await inspection.servers(timeoutMs) }, broker);
    });
  }

  async workers(options: ResolvedHealthOptions): Promise<Verdict<WorkersDetails>> {
    return judgeWorkers(await this.#see(options), options.workers);
  }

  async liveness(options: ResolvedHealthOptions): Promise<Verdict<WorkersDetails>> {
    return judgeLiveness(await this.#see(options), options.workers);
  }

  queues({ timeoutMs, queues }: ResolvedHealthOptions): Promise<Verdict<QueuesDetails>> {
    const { inspection } = this.engine.backend;
    const nowMs = this.engine.clock.wallMs();
    return orDown(async () => {
      const [reports, workers] = await Promise.all([
        inspection.queues(nowMs, timeoutMs),
        inspection.workers(timeoutMs),
      ]);
      return judgeQueues(reports, workers, nowMs, queues);
    });
  }

  failures({ timeoutMs, failures }: ResolvedHealthOptions): Promise<Verdict<FailuresDetails>> {
    const { backend, clock } = this.engine;
    return orDown(async () =>
      judgeFailures(await backend.inspection.queues(clock.wallMs(), timeoutMs), failures),
    );
  }

  canvases({ timeoutMs, canvases }: ResolvedHealthOptions): Promise<Verdict<CanvasesDetails>> {
    const { backend, clock } = this.engine;
    const nowMs = clock.wallMs();
    return orDown(async () => {
      const report = await backend.inspection.waitingCanvases(nowMs - canvases.stuckAfterMs, timeoutMs);
      return judgeCanvases(report, nowMs, canvases);
    });
  }

  breakers({ timeoutMs, breakers: limits }: ResolvedHealthOptions): Promise<Verdict<BreakersDetails>> {
    const { backend, clock, registry } = this.engine;
    const own = registry.all().flatMap(({ breaker }) => (breaker === undefined ? [] : [breaker.name]));
    const read = async () => {
      const names = new Set([...own, ...(await backend.breakers.troubled())]);
      return backend.breakers.read([...names].sort());
    };
    const late = () => new BrokerUnavailableError(`Redis did not answer within ${timeoutMs} ms.`);
    return orDown(async () => judgeBreakers(await bounded(read(), timeoutMs, late), clock.wallMs(), limits));
  }

  async #see({ timeoutMs, workers: limits }: ResolvedHealthOptions): Promise<WorkersSeen> {
    const { worker, options, registry, backend } = this.engine;
    const serving = worker.state === 'serving';
    const answer = serving ? await backend.inspection.ping(timeoutMs).catch(() => undefined) : undefined;
    if (worker.loops.some((loop) => isStuck(loop, answer, limits))) await pause(SECOND_LOOK_MS);
    return {
      role: options.role,
      state: worker.state,
      lagMs: this.eventLoop.lagMs,
      tasks: options.role === 'producer' ? [] : registry.all().map(({ name }) => name),
      loops: serving ? worker.loops : [],
      pools: serving ? worker.pools : new Map(),
      stuck: worker.stuck,
      answer,
    };
  }
}

async function orDown<Details extends object>(
  probe: () => Promise<Verdict<Details>>,
): Promise<Verdict<Details>> {
  try {
    return await probe();
  } catch (error) {
    return downBecause(error);
  }
}
