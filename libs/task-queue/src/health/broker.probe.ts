import type { TaskQueueEngine } from '../engine/task-queue-engine.js';

/** What a probe found: a plain verdict, usable without terminus and without HTTP. */
export type Verdict =
  | { readonly status: 'up'; readonly details: Readonly<Record<string, string | number | boolean>> }
  | { readonly status: 'down'; readonly reason: string };

/**
 * Whether Redis answers, over the connection that publications use: no socket is opened for a probe. A Redis
 * that is frozen (stopped process, paused clients) or gone is reported within the bound.
 */
export async function probeBroker(engine: TaskQueueEngine, timeoutMs: number): Promise<Verdict> {
  const started = performance.now();
  try {
    await engine.backend.ping(timeoutMs);
  } catch (error) {
    return { status: 'down', reason: error instanceof Error ? error.message : String(error) };
  }
  const details = {
    latencyMs: Math.round((performance.now() - started) * 10) / 10,
    role: engine.options.role,
    ...(engine.options.role === 'producer' ? {} : { serving: engine.worker.serving }),
  };
  return { status: 'up', details };
}
