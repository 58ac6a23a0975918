import { Inject, type Type } from '@nestjs/common';
import { TaskQueueEngine } from '../engine/task-queue-engine.js';
import { DEFAULT_CONNECTION, readConnectionName } from '../options/resolve-options.js';
import { WorkflowService } from './workflow.service.js';

/** What Nest knows a provider by: a class, or a text for what has a name. */
export type Token<T> = Type<T> | string;

/**
 * The token of a registration's `WorkflowService`: the class itself for the one without a name.
 *
 * @throws InvalidOptionsError when it cannot be a name
 */
export function getWorkflowServiceToken(connection: string = DEFAULT_CONNECTION): Token<WorkflowService> {
  return tokenOf(WorkflowService, connection);
}

/**
 * The token of what runs a registration. The class for the one without a name.
 *
 * @throws InvalidOptionsError when it cannot be a name
 */
export function getTaskQueueEngineToken(connection: string = DEFAULT_CONNECTION): Token<TaskQueueEngine> {
  return tokenOf(TaskQueueEngine, connection);
}

/**
 * Injects the `WorkflowService` of a registration.
 *
 * ```ts
 * constructor(@InjectWorkflows('billing') private readonly billing: WorkflowService) {}
 * ```
 *
 * @param connection the name given to `forRoot`; none means the registration without a name, whose service is
 * injected by its class as well
 * @throws InvalidOptionsError when it cannot be a name
 */
export function InjectWorkflows(connection?: string): ParameterDecorator & PropertyDecorator {
  return Inject(getWorkflowServiceToken(connection)) as ParameterDecorator & PropertyDecorator;
}

// A text that can be read: it stands in Nest's message when nothing has the name.
function tokenOf<T>(type: Type<T>, connection: string): Token<T> {
  return readConnectionName('connection', connection) === DEFAULT_CONNECTION
    ? type
    : `${type.name} of connection "${connection}"`;
}
