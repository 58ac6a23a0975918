/** What must be true of every canvas, whatever happened to it. Each line is one thing that is wrong. */
import type { JsonValue } from 'nestjs-task-queue';
import type { Evidence } from './evidence.js';
import type { Plan } from './scenarios/scenario.js';
import type { Returned, Run } from './tasks.js';

export function wrongWith(plan: Plan, evidence: Evidence): string[] {
  return [
    ...wrongReleases(plan, evidence),
    ...wrongRuns(evidence.runs),
    ...wrongVoices(evidence),
    ...evidence.left.map((text) => `left waiting: ${text}`),
    ...(plan.judge?.(evidence) ?? []),
  ];
}

/** Every job is made once for each generation, none that should not be, and each that was made has run. */
function wrongReleases({ made: wanted }: Plan, { id, made, runs }: Evidence): string[] {
  const wrong: string[] = [];
  for (const path of new Set([...Object.keys(wanted ?? {}), ...Object.keys(made)])) {
    const times = made[path] ?? 0;
    const expected = wanted === undefined ? 1 : (wanted[path] ?? 0);
    if (times !== expected) wrong.push(`${path} was made ${times}× instead of ${expected}×`);
    if (times > 0 && !runs.some((run) => run.id === `${id}${path}`)) wrong.push(`${path} never ran`);
  }
  return wrong;
}

/** No attempt runs twice, and all runs of a task are given the same. */
function wrongRuns(runs: readonly Run[]): string[] {
  const wrong: string[] = [];
  const seen = new Set<string>();
  const given = new Map<string, string>();
  for (const { id, generation, attempt, got } of runs) {
    const one = `${id} of generation ${generation}`;
    if (seen.has(`${one} ${attempt}`)) wrong.push(`attempt ${attempt} of ${one} ran twice`);
    seen.add(`${one} ${attempt}`);
    const json = JSON.stringify(got);
    const before = given.get(one) ?? json;
    given.set(one, before);
    if (before !== json) wrong.push(`${one} was given ${before} and ${json}`);
  }
  return wrong;
}

/** Whoever was heard was the last one to begin: an attempt that others have taken over from must not be. */
function wrongVoices({ came, runs }: Evidence): string[] {
  const last = new Map<string, number>();
  const keyOf = (id: string, generation: number): string => `${id} of generation ${generation}`;
  for (const { id, generation, attempt } of runs) {
    const key = keyOf(id, generation);
    last.set(key, Math.max(last.get(key) ?? 0, attempt));
  }
  const heard = [came, ...runs.map(({ got }) => got ?? null)].flatMap(voicesIn);
  const wrong = heard.flatMap(({ by, attempt, generation }) => {
    const key = keyOf(by, generation);
    return last.get(key) === attempt ? [] : [`attempt ${attempt} of ${key} was heard, not ${last.get(key)}`];
  });
  return [...new Set(wrong)];
}

function voicesIn(value: JsonValue): Returned[] {
  if (value === null || typeof value !== 'object') return [];
  if (!Array.isArray(value) && 'by' in value && 'attempt' in value) return [value as unknown as Returned];
  return Object.values(value).flatMap((one) => voicesIn(one as JsonValue));
}
