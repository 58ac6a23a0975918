import type { ParamsFactory } from '@nestjs/core/helpers/external-context-creator.js';
import { Outcomes } from '../../chords/outcomes.js';
import type { JsonValue } from '../../primitives/json.js';
import type { TaskContext } from '../../task/task-context.js';
import { argumentPosition, TASK_PARAM } from '../decorators/parameter-plan.js';

/** Gives Nest the value of each parameter of a task method, before its pipes. */
export class TaskParamsFactory implements ParamsFactory {
  exchangeKeyForValue(
    type: number,
    data: unknown,
    [args, context]: readonly [readonly JsonValue[], TaskContext],
  ): unknown {
    if (type === TASK_PARAM.CONTEXT) return context;
    return type === TASK_PARAM.OUTCOMES ? Outcomes.of(args[0]) : args[argumentPosition(data)];
  }
}
