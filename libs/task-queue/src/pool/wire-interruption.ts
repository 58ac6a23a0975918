import { LockLostError } from '../errors/lock.errors.js';
import {
  SoftTimeLimitExceededError,
  TaskRevokedError,
  TimeLimitExceededError,
} from '../errors/task.errors.js';
import type { Interruption } from '../task/interruption.js';
import type { WireInterruption } from './protocol.js';

export function interruptionToWire(interruption: Interruption): WireInterruption {
  switch (interruption.by) {
    case 'shutdown':
    case 'lost-lock':
      return interruption;
    case 'revoked':
      return { by: 'revoked', message: interruption.error.message };
    case 'lock':
      return { by: 'lock', lock: interruption.error.lockName };
    case 'limit': {
      const { error } = interruption;
      const by = error instanceof SoftTimeLimitExceededError ? 'soft-limit' : 'hard-limit';
      return { by, limitMs: error.limitMs };
    }
  }
}

export function interruptionFromWire(wire: WireInterruption): Interruption {
  switch (wire.by) {
    case 'shutdown':
    case 'lost-lock':
      return { by: wire.by };
    case 'revoked':
      return { by: 'revoked', error: new TaskRevokedError(wire.message) };
    case 'lock':
      return { by: 'lock', error: new LockLostError(wire.lock, 'its worker says so') };
    case 'soft-limit':
      return { by: 'limit', error: new SoftTimeLimitExceededError(wire.limitMs) };
    case 'hard-limit':
      return { by: 'limit', error: new TimeLimitExceededError(wire.limitMs) };
  }
}
