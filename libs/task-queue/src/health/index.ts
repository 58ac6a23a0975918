export { type Verdict } from './broker.probe.js';
export { type HealthCheckOptions, TaskQueueHealthIndicator } from './task-queue.health.js';
export { TaskQueueHealthModule } from './task-queue-health.module.js';
