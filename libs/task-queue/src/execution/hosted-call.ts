import type { Delivery } from '../backend/delivery.js';
import type { HostedCall } from '../backend/handler-host.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { JsonValue } from '../primitives/json.js';
import { headerIn } from './header-outcomes.js';

/** A call as it goes to the process in which its handler runs: as it is stored, to be read there. */
export function hostedCall(
  delivery: Delivery,
  envelope: TaskEnvelope,
  args: readonly JsonValue[],
  item: number | undefined,
  soft: HostedCall['soft'],
): HostedCall {
  const { headers, maxRetries, retried, each, settle, once, redriven } = envelope;
  const header = headerIn(args);
  return {
    id: delivery.id,
    name: delivery.name,
    queue: delivery.queue,
    args: header === undefined ? args : args.slice(1),
    ...(header === undefined ? {} : { header }),
    ...(item === undefined ? {} : { item }),
    envelope: { headers, maxRetries, retried, each, settle, once, redriven },
    ...(soft === undefined ? {} : { soft }),
    token: delivery.token,
    activations: delivery.activations,
    attemptsMade: delivery.attemptsMade,
    startedAtMs: delivery.startedAtMs,
  };
}
