/**
 * What must be true of a canvas after a fail-over, which may have forgotten a part of it. In what is left, everything holds;
 * what was forgotten has run for nothing, and nobody may have heard of it.
 */
import type { JsonValue } from 'nestjs-task-queue';
import { voicesIn, wrongNodes, wrongReleases } from './checks.js';
import type { Evidence } from './evidence.js';
import type { Plan } from './scenarios/scenario.js';
import type { Run } from './tasks.js';

export function wrongAfterLoss(plan: Plan, evidence: Evidence): string[] {
  return [
    ...wrongReleases(plan, evidence),
    ...wrongNodes(plan, evidence),
    ...wrongVoices(evidence),
    ...evidence.left.map((text) => `left waiting: ${text}`),
  ];
}

/** The runs of a canvas, by what has become of their fetches. */
export interface Recollection {
  /** As far as Redis remembers. */
  readonly kept: readonly Run[];
  /** Fetched from a master that was lost before its replica heard of that. They have run for nothing. */
  readonly forgotten: readonly Run[];
  /** Those of them that began after the run that is remembered: their handlers were late. */
  readonly late: readonly Run[];
}

export function recollect({ runs, fetched = {} }: Pick<Evidence, 'runs' | 'fetched'>): Recollection {
  const kept = runs.filter((run) => isRemembered(run, fetched[run.id]));
  const forgotten = runs.filter((run) => !kept.includes(run));
  const late = forgotten.filter((run) =>
    kept.some(
      (one) =>
        one.id === run.id &&
        one.item === run.item &&
        one.attempt >= run.attempt &&
        runs.indexOf(one) < runs.indexOf(run),
    ),
  );
  return { kept, forgotten, late };
}

/** Fetches of a job are numbered, and a master that has forgotten some begins again with their numbers. */
const isRemembered = ({ fetch }: Run, answeredBy: readonly number[] = []): boolean =>
  fetch !== undefined && answeredBy[fetch.nr - 1] === fetch.from;

/** The same evidence without what runs were given that are forgotten: they may have read from both masters. */
export function remembered(evidence: Evidence): Evidence {
  const { kept } = recollect(evidence);
  const gotBy = (path: string): JsonValue[] =>
    kept.filter(({ id }) => id === `${evidence.id}${path}`).map(({ got }) => got ?? null);
  return { ...evidence, gotBy };
}

/** Whoever was heard had the last fetch that is remembered. */
function wrongVoices({ came, runs, fetched = {} }: Evidence): string[] {
  const isOfLastFetch = (run: Run): boolean =>
    isRemembered(run, fetched[run.id]) && run.fetch?.nr === fetched[run.id]?.length;
  const heard = [came, ...runs.filter(isOfLastFetch).map(({ got }) => got ?? null)].flatMap(voicesIn);
  const wrong = heard.flatMap(({ by, attempt, run: name }) => {
    const run = runs.find((one) => one.id === by && one.run === name);
    if (run !== undefined && isOfLastFetch(run)) return [];
    const its = run?.fetch === undefined ? 'nobody knows which' : `no. ${run.fetch.nr} of :${run.fetch.from}`;
    const all = (fetched[by] ?? []).map((from, at) => `no. ${at + 1} of :${from}`).join(', ');
    return [`attempt ${attempt} of ${by} was heard, fetched as ${its}; remembered are ${all || 'none'}`];
  });
  return [...new Set(wrong)];
}
