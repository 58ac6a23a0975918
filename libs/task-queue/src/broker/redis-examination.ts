import type { Examination, JobCondition, JobPlace, PendingPage } from '../backend/examination.js';
import type { JobRef } from '../backend/job-ref.js';
import { jobInKey, type RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';
import { EXAMINE } from './scripts/examination.js';

/** Longer data is left where it is: what it could tell is not worth the way. */
const LONGEST_DATA = 65_536;
/** Jobs that are asked about at a time: Redis serves others in between. */
const AT_A_TIME = 50;

/** Looks at BullMQ's jobs one by one, each by a script of its own. */
export class RedisExamination implements Examination {
  constructor(
    private readonly keys: RedisKeys,
    private readonly scripts: ScriptRunner,
  ) {}

  async conditions(jobs: readonly JobRef[]): Promise<readonly JobCondition[]> {
    const conditions: JobCondition[] = [];
    for (let at = 0; at < jobs.length; at += AT_A_TIME) {
      const some = jobs.slice(at, at + AT_A_TIME);
      conditions.push(...(await Promise.all(some.map((job) => this.#condition(job)))));
    }
    return conditions;
  }

  async pendingPage({ queue, id }: JobRef, limit: number, cursor = '0'): Promise<PendingPage> {
    const key = `${this.keys.job(queue, id)}:dependencies`;
    const children: JobRef[] = [];
    let at = cursor;
    do {
      const [next, found] = await this.scripts.ask((client) => client.sscan(key, at, 'COUNT', limit));
      children.push(...found.map(jobInKey));
      at = next;
    } while (at !== '0' && children.length < limit);
    return at === '0' ? { children } : { children, cursor: at };
  }

  async #condition(job: JobRef): Promise<JobCondition> {
    const { queue, id } = job;
    const base = `${this.keys.prefixOf(id)}:${queue}:`;
    const reply = await this.scripts.run(EXAMINE, [this.keys.job(queue, id)], [base, id, LONGEST_DATA]);
    return conditionOf({ queue, id }, reply as (string | number | null)[]);
  }
}

function conditionOf(job: JobRef, reply: readonly (string | number | null)[]): JobCondition {
  const text = (at: number): string | undefined => {
    const value = reply[at];
    return value === null || value === undefined ? undefined : String(value);
  };
  const number = (at: number): number | undefined => (text(at) === undefined ? undefined : Number(text(at)));
  const known = {
    atMs: number(1),
    ahead: number(2),
    lockMs: number(3),
    publishedAtMs: number(7),
    startedAtMs: number(8),
    worker: text(13),
    failedReason: text(14),
    verdict: text(15),
    data: text(16),
  };
  return {
    ...job,
    place: text(0) as JobPlace,
    name: text(6) ?? '',
    pending: number(4) ?? 0,
    isPaused: number(5) === 1,
    attemptsMade: number(9) ?? 0,
    activations: number(10) ?? 0,
    timesLost: number(11) ?? 0,
    priority: number(12) ?? 0,
    ...(Object.fromEntries(
      Object.entries(known).filter(([, value]) => value !== undefined),
    ) as Partial<JobCondition>),
  };
}
