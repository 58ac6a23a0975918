export type { BreakerOptions } from './breaker/breaker-options.js';
export type { BreakerPhase } from './breaker/breaker-state.js';
export type { CallOptions, CanvasData, LateData } from './canvas/canvas-data.js';
export type { MemberStream } from './canvas/canvas-stream.js';
export type { Deadline, DeadlineData, DeadlineStart } from './canvas/deadline-rule.js';
export type { BreachPolicy, Budget, RestPolicy } from './canvas/header-rules.js';
export type { ApplyOptions } from './canvas/call-options.js';
export {
  type BodyInputKind,
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  ErrbackOnly,
  type Outcome,
} from './chords/built-in-recoveries.js';
export {
  type ChordDecision,
  type ChordOutcome,
  ChordRecovery,
  type ChordRecoveryType,
  type MemberOutcome,
} from './chords/chord-recovery.js';
export type { LateOutcome, LateOutcomes } from './chords/late-outcomes.js';
export { Tolerance, type ToleranceOptions, Tolerate } from './chords/tolerate.js';
export type { CodecRoles, TaskCodec } from './codec/task-codec.js';
export type { ExplainOptions } from './doctor/explain-options.js';
export type { Explanation } from './doctor/explanation.js';
export type { Obstacle, ObstacleKind } from './doctor/obstacle.js';
export { type ChangedLimit, type LimitChange, TaskLimits, type TimeLimits } from './engine/task-limits.js';
export { Breakers, type BreakerState, type TripOptions } from './engine/breakers.js';
export type { Mended, ReconcileOptions, ReconcileReport } from './doctor/reconcile-report.js';
export type {
  DeadLetterFilter,
  DeadLetterListOptions,
  DeadLetterPage,
  RetryLetterOptions,
  RetryLettersOptions,
} from './engine/dead-letter-options.js';
export { DeadLetters } from './engine/dead-letters.js';
export type { RevokeFilter } from './engine/revoke-filter.js';
export type { RevokedCounts } from './execution/bulk-revocation.js';
export type { RevokeOptions } from './execution/revocation.js';
export { Outcomes } from './chords/outcomes.js';
export type { RedriveOptions } from './engine/redrive.js';
export type { RedriveOutcome } from './engine/redrive-outcome.js';
export { EventStream, type EventsOptions } from './engine/event-stream.js';
export { DuplicateTaskError, InvalidOptionsError, InvalidTaskError } from './errors/configuration.errors.js';
export {
  ControlFlow,
  IgnoreResult,
  isControlFlow,
  RejectTask,
  ReplaceTask,
  type RetryRequest,
  RetryTask,
} from './errors/control-flow.js';
export { DeadLetterUnknownError } from './errors/dead-letter.errors.js';
export { ERROR_CODES, type ErrorCode } from './errors/error-code.js';
export { IdempotencyConflictError, IdempotencyTimeoutError } from './errors/idempotency.errors.js';
export { LockLostError, LockUnavailableError } from './errors/lock.errors.js';
export {
  ArgumentTooLargeError,
  BrokerUnavailableError,
  CannotAddMemberError,
  CanvasTooLargeError,
  InvalidCanvasError,
  InvalidIdError,
  UnserializableArgumentError,
} from './errors/publish.errors.js';
export {
  NoBudgetError,
  NotBegunError,
  OutsideTaskError,
  ResultTimeoutError,
  ResultUnknownError,
  WaitInsideTaskError,
} from './errors/result.errors.js';
export { TaskQueueError } from './errors/task-queue.error.js';
export {
  ChordError,
  DispatchIncompleteError,
  GroupError,
  InvalidArgumentsError,
  MaxRetriesExceededError,
  MemberPendingError,
  NonRetryableError,
  RecoveryFailedError,
  RemoteTaskError,
  ResultTooLargeError,
  RetryBudgetExceededError,
  SoftTimeLimitExceededError,
  TaskExpiredError,
  TaskRemovedError,
  TaskRevokedError,
  TimeLimitExceededError,
  UndecodablePayloadError,
  UnknownTaskError,
  UnserializableResultError,
  UpstreamFailedError,
  WorkerLostError,
} from './errors/task.errors.js';
export { type RedriveRefusal, RedriveRefusedError } from './errors/redrive.errors.js';
export type { DeadLetter, DeadLetterSummary, FailedAttempt } from './failure/dead-letter.js';
export { REDACTED_KEYS, type RedactOption } from './failure/redaction.js';
export type {
  FailedRequest,
  FailureReason,
  MemberFailure,
  MemberValue,
  SerializedError,
  TaskFailure,
} from './failure/task-failure.js';
export type { EndedGeneration } from './flow/envelope.js';
export {
  type ErrorMethodDecorator,
  OnDeadLetter,
  OnError,
  OnFailure,
  OnRetry,
  OnRevoked,
  OnStuck,
  OnSuccess,
} from './nest/decorators/hook.decorators.js';
export { type EventMethodDecorator, OnTaskEvent } from './nest/decorators/event.decorator.js';
export { Breaker } from './nest/decorators/breaker.decorator.js';
export { Idempotent } from './nest/decorators/idempotent.decorator.js';
export { Arg, type ArgOptions, Ctx, HeaderOutcomes } from './nest/decorators/param.decorators.js';
export { Retry } from './nest/decorators/retry.decorator.js';
export { Task, Tasks } from './nest/decorators/task.decorator.js';
export {
  type EventRequest,
  type HookRequest,
  TASK_CONTEXT_TYPE,
  type TaskContextType,
  type TaskRequest,
} from './nest/discovery/task-request.js';
export { getWorkflowServiceToken, InjectWorkflows } from './nest/injection.js';
export { TaskQueueModule } from './nest/task-queue.module.js';
export { WorkflowService } from './nest/workflow.service.js';
export type { InProcessOptions, PoolOptions, ProcessPoolOptions } from './options/pool-options.js';
export type {
  ChordDefaults,
  DeadLetterOptions,
  DeadLetterRoute,
  ErrorClass,
  LoggingOptions,
  PayloadLimits,
  QueueOptions,
  TaskDefaults,
  TaskQueueConnection,
  TaskQueueModuleAsyncOptions,
  TaskQueueModuleOptions,
  TaskQueueOptionsFactory,
  TaskQueueRole,
  WorkerTuning,
} from './options/task-queue-options.js';
export type { Duration } from './primitives/duration.js';
export type { JsonValue } from './primitives/json.js';
export { AsyncResult, type GetOptions } from './results/async-result.js';
export type { TaskDescription, TaskMoment } from './results/task-description.js';
export { GroupResult } from './results/group-result.js';
export type { DispatchProgress, MemberCounts, Parked, Recovered } from './results/task-snapshot.js';
export type { BackoffOptions, CustomBackoff } from './retry/backoff.js';
export type { ErrorDecision } from './retry/error-decision.js';
export { ErrorKinds } from './retry/error-kinds.js';
export type { RetryBudgetOptions } from './retry/retry-budget.js';
export type { ErrorMatcher, ErrorTest, RetryOptions } from './retry/retry-policy.js';
export { RetryPresets } from './retry/retry-presets.js';
export type { IdempotencyOptions, IdempotentOptions } from './task/idempotency.js';
export type { Lock, LockOptions } from './task/lock.js';
export {
  type CompleteCanvas,
  currentTask,
  TaskContext,
  type TaskLogger,
  type WorkflowPosition,
} from './task/task-context.js';
export {
  type BreakerClosedEvent,
  type BreakerHalfOpenEvent,
  type BreakerOpenedEvent,
  type CallbackReleasedEvent,
  type CanvasFailureEvent,
  type CanvasPublishedEvent,
  type CanvasRedrivenEvent,
  type CanvasRevokedEvent,
  type CanvasSealedEvent,
  type CanvasSuccessEvent,
  type ChordRecoveredEvent,
  type ChordReleasedEvent,
  type ErrbackReleasedEvent,
  type MendableKind,
  type MendedEvent,
  TASK_EVENT_TYPES,
  type TaskEvent,
  type TaskEventOf,
  type TaskEventType,
  type TaskFailureEvent,
  type TaskProgressEvent,
  type TaskPublishedEvent,
  type TaskReceivedEvent,
  type TaskRetryEvent,
  type TaskRevokedEvent,
  type TaskSkippedEvent,
  type TaskStartedEvent,
  type TaskSuccessEvent,
} from './task/task-event.js';
export type { RateLimitOptions } from './rate-limit/rate-limit.js';
export type { InterruptionCause } from './task/interruption.js';
export type { AttemptError, TaskRetry, TaskStuck, TaskSuccess } from './task/task-definition.js';
export type { TaskOptions, TasksOptions } from './task/task-options.js';
export type { Redriven } from './task/redriven.js';
export { isTerminal, TASK_STATES, type TaskState, type TerminalState } from './task/task-state.js';
export type { AnyCanvas, CanvasLike, Follower } from './workflows/canvas-types.js';
export { Chain } from './workflows/chain.js';
export { Chord, type ChordOptions, type LatePolicy, type RecoveryChoice } from './workflows/chord.js';
export type { UntypedCanvas } from './workflows/from-data.js';
export { Chunks } from './workflows/chunks.js';
export { Group, type GroupOptions } from './workflows/group.js';
export {
  StreamedChord,
  type StreamedChordOptions,
  StreamedGroup,
  type StreamedGroupOptions,
  type StreamOptions,
} from './workflows/streamed.js';
export { Signature } from './workflows/signature.js';
export type { EachOptions, TaskMaker, TasksOf } from './workflows/task-types.js';
