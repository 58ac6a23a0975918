/** The processes of the suite: warm ones in reserve, and those that play a worker or a producer. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { TaskQueueModuleOptions } from 'nestjs-task-queue';
import type { Bounds } from './endurance.js';
import type { Deed, Told } from './orders.js';
import { TortureProxy } from './proxy.js';
import type { Site } from './site.js';

export type Role = 'worker' | 'producer';

/** Who has this time to answer is not starved. */
const ANSWER_MS = 500;

/** How patient a lane is. */
export interface Patience {
  /** A lock is lost this long after the last sign of life of its holder, and looked for this often. */
  readonly lockMs: number;
  readonly stalledMs: number;
  /** Results of canvases go after this time. */
  readonly expiresMs: number;
  /** How long it waits for canvases, where that is not what holds for all. */
  readonly bounds?: Bounds;
}

/** A process, and its way to Redis. */
export class Actor {
  readonly gone: Promise<void>;
  #orders = 0;
  readonly #answers = new Map<number, (told: Told) => void>();
  #asked: Promise<boolean> | undefined;

  private constructor(
    private readonly child: ChildProcess,
    readonly proxy: TortureProxy,
  ) {
    this.gone = once(child, 'exit').then(() => this.#end());
    child.on('message', (told: Told) => this.#answers.get(told.nr)?.(told));
  }

  /** Starts one that is warm. */
  static async start(): Promise<Actor> {
    const child = fork(process.argv[1] ?? '', ['--as', 'actor'], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production' },
    });
    const actor = new Actor(child, await TortureProxy.start());
    await Promise.race([once(child, 'message'), actor.gone]);
    return actor;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** @throws what it says went wrong, or that it is gone */
  async tell(deed: Deed): Promise<void> {
    const nr = ++this.#orders;
    const told = await new Promise<Told>((resolve) => {
      this.#answers.set(nr, resolve);
      if (this.isAlive)
        this.child.send({ ...deed, nr }, (error) => error && resolve({ nr, error: error.message }));
      else resolve({ nr, error: 'is gone' });
    });
    this.#answers.delete(nr);
    if (told.error !== undefined) throw new Error(told.error);
  }

  /** @param notesUrl where it notes what it does, whatever happens to the Redis of the site */
  async become(role: Role, prefix: string, site: Site, notesUrl: string, patience: Patience): Promise<void> {
    const connection = { ...site.through(this.proxy), connectionName: prefix };
    const common = {
      connection,
      prefix,
      role,
      publishTimeout: '10s',
    } as const satisfies TaskQueueModuleOptions;
    if (role === 'producer') return this.tell({ do: 'produce', options: common });
    await this.tell({ do: 'work', options: { ...common, ...workerOf(patience) }, notesUrl });
  }

  /** Whether it does what it is told: that it has got the processor, and answers at once. */
  async answers(): Promise<boolean> {
    this.#asked ??= this.tell({ do: 'answer' })
      .then(
        () => true,
        () => false,
      )
      .finally(() => (this.#asked = undefined));
    const over = new AbortController();
    const isLate = pause(ANSWER_MS, false, { signal: over.signal }).catch(() => false);
    return Promise.race([this.#asked, isLate]).finally(() => over.abort());
  }

  /** kill -9. */
  kill(): void {
    this.child.kill('SIGKILL');
  }

  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }

  async end(): Promise<void> {
    this.kill();
    await this.gone;
  }

  async #end(): Promise<void> {
    for (const [nr, answer] of this.#answers) answer({ nr, error: 'is gone' });
    await this.proxy.close();
  }
}

/** What is lost with a worker is run again soon, and as often as it takes. Nothing heals but what has to. */
const workerOf = ({ lockMs, stalledMs, expiresMs }: Patience): TaskQueueModuleOptions => ({
  queues: { default: { concurrency: 20 } },
  defaults: { resultExpires: expiresMs },
  worker: {
    lockDuration: lockMs,
    stalledInterval: stalledMs,
    maxTimesLost: 1_000,
    drainTimeout: 0,
    reconcileInterval: false,
  },
});

/** Actors in reserve. */
export class Reserve {
  readonly #warm: Promise<Actor>[] = [];
  readonly #all = new Set<Actor>();
  #isOver = false;

  constructor(private readonly size: number) {
    this.#fill();
  }

  /** One that is warm; another one takes its place. */
  async take(): Promise<Actor> {
    for (;;) {
      const next = this.#warm.shift();
      this.#fill();
      const actor = await next;
      if (actor?.isAlive === true) return actor;
    }
  }

  /** Takes one back that has played. */
  async rest(actor: Actor): Promise<void> {
    if (!actor.isAlive) return;
    const late = setTimeout(() => actor.kill(), 10_000);
    const isWarm = await actor.tell({ do: 'rest' }).then(
      () => true,
      () => false,
    );
    clearTimeout(late);
    if (isWarm && this.#warm.length <= this.size) this.#warm.unshift(Promise.resolve(actor));
    else await actor.end();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#warm);
    await Promise.all([...this.#all].map((actor) => actor.end()));
  }

  #fill(): void {
    while (!this.#isOver && this.#warm.length < this.size) this.#warm.push(this.#start());
  }

  async #start(): Promise<Actor> {
    const actor = await Actor.start();
    this.#all.add(actor);
    void actor.gone.then(() => this.#all.delete(actor));
    return actor;
  }
}
