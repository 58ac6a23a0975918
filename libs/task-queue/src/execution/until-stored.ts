import { pause } from '../primitives/bounded.js';
import type { EngineLog } from './engine-log.js';

const FIRST_MS = 50;
const MAX_MS = 2_000;

/**
 * Repeats a read or write of the store until it answers. Running a handler is never repeated by itself;
 * settling what it came to is, because the work is done and only Redis is away.
 *
 * @throws the last error when the signal aborts, which it does when the worker is shut down
 */
export async function untilStored<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  log: EngineLog,
): Promise<T> {
  for (let waitMs = FIRST_MS; ; waitMs = Math.min(MAX_MS, waitMs * 2)) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      if (waitMs === FIRST_MS) log.warn(`Redis did not take an outcome, trying again: ${String(error)}`);
      await pause(waitMs, signal);
    }
  }
}
