export type { TaskQueueConnectionEvents, TaskQueueStatus } from './connection-status.js';
export type { FannedOut } from './event-fan-out.js';
export type { PatternRequest } from './pattern-handler.factory.js';
export type { TaskPatternOptions } from './pattern-options.js';
export {
  TaskQueueClient,
  type TaskQueueClientDefaults,
  type TaskQueueClientOptions,
} from './task-queue.client.js';
export { TaskQueueContext } from './task-queue.context.js';
export {
  type TaskQueueClientRegistration,
  TaskQueueMicroserviceModule,
} from './task-queue-microservice.module.js';
export {
  type RevokeOnUnsubscribe,
  type SendOptions,
  TaskQueueRecord,
  TaskQueueRecordBuilder,
  type TaskQueueRecordOptions,
} from './task-queue-record.js';
export {
  TASK_QUEUE_TRANSPORT,
  TaskQueueServer,
  type TaskQueueServerInternals,
  type TaskQueueServerOptions,
} from './task-queue.server.js';
