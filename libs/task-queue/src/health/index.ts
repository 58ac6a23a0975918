export type { Persistence, ServerReport } from '../backend/inspection.js';
export type { BreakersDetails } from './breakers.probe.js';
export type { BrokerDetails } from './broker.probe.js';
export type { CanvasesDetails } from './canvases.probe.js';
export type { FailuresDetails } from './failures.probe.js';
export type {
  BreakersHealthOptions,
  BrokerHealthOptions,
  CanvasesHealthOptions,
  FailuresHealthOptions,
  HealthOptions,
  Limit,
  QueueLimits,
  QueuesHealthOptions,
  WorkersHealthOptions,
} from './health-options.js';
export type { QueueDetails, QueuesDetails } from './queues.probe.js';
export {
  type IndicatorOptions,
  TaskQueueHealthIndicator,
  type TaskQueueHealthResult,
} from './task-queue-health.indicator.js';
export { type HealthAsyncOptions, TaskQueueHealthModule } from './task-queue-health.module.js';
export {
  type CallOptions,
  type HealthReport,
  type ReadinessDetails,
  TaskQueueHealth,
} from './task-queue-health.js';
export type { HealthStatus, Verdict } from './verdict.js';
export type { FetchState, ServedQueue, WorkersDetails } from './workers.probe.js';
