import type { Heartbeat, Janitor } from '../backend/backend.js';
import type { WorkerDescription } from '../backend/inspection.js';
import { ReconcileRounds } from '../doctor/rounds.js';
import { newCanvasId } from '../flow/ids.js';
import { bounded } from '../primitives/bounded.js';
import type { WorkerParts } from './worker-parts.js';

/** How long the end waits for what is being cleared up. */
const CLEAR_UP_MS = 2_000;
/** How long the end waits for others to be told. */
const TELL_MS = 1_000;

/**
 * What goes on beside the tasks while a worker serves: results whose time has come are removed, others are shown that it is
 * alive, damage from outside is looked for.
 */
export class Attendants {
  readonly #id: string;
  readonly #janitor: Janitor;
  readonly #heartbeat: Heartbeat;
  readonly #rounds: ReconcileRounds | undefined;

  constructor(
    private readonly engine: WorkerParts,
    queues: readonly string[],
    describe: (id: string) => WorkerDescription,
  ) {
    const { backend, clock, log, options, random } = engine;
    this.#id = newCanvasId(1, random);
    this.#janitor = backend.janitor({
      ages: new Map(queues.map((queue) => [queue, engine.resultExpiresMs(queue)])),
      canvasAgeMs: options.defaults.resultExpiresMs,
      letters: options.deadLetters,
      clock,
      onTrouble: (error) => log.debug(`Expired results stay a while longer: ${String(error)}`),
    });
    this.#heartbeat = backend.heartbeat(() => describe(this.#id), {
      onTrouble: (error) => log.debug(`A heartbeat is left out: ${String(error)}`),
      onSkew: (aheadMs) => log.warn(skewed(aheadMs)),
    });
    this.#rounds = this.#makeRounds();
  }

  start(): void {
    this.#janitor.start();
    this.#heartbeat.start();
    this.#rounds?.start();
  }

  /** Stops in bounded time, also when the store is away. */
  async stop(): Promise<void> {
    const within = (end: Promise<void> | undefined, ms: number): Promise<void> =>
      bounded(Promise.resolve(end), ms, () => new Error('timed out')).catch(() => undefined);
    await Promise.all([
      within(this.#janitor.stop(), CLEAR_UP_MS),
      within(this.#heartbeat.stop(), TELL_MS),
      within(this.#rounds?.stop(), TELL_MS),
    ]);
  }

  #makeRounds(): ReconcileRounds | undefined {
    const { backend, reconciler, clock, random, log, options } = this.engine;
    const intervalMs = options.worker.reconcileIntervalMs;
    if (intervalMs === undefined || !backend.repairs.needed) return undefined;
    return new ReconcileRounds({
      reconciler,
      locks: backend.locks,
      owner: this.#id,
      intervalMs,
      clock,
      random,
      log,
    });
  }
}

function skewed(aheadMs: number): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1_000);
  return (
    `The clock of this machine is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} that of Redis. Countdowns, retries, ` +
    `expiries and deadlines go by the clock of Redis; a point in time that is computed here, as for \`eta\` or a Date in ` +
    `\`expires\`, is by so much too ${aheadMs > 0 ? 'late' : 'early'}.`
  );
}
