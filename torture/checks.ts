/** What must be true of every canvas, whatever happened to it. Each line is one thing that is wrong. */
import type { JsonValue } from 'nestjs-task-queue';
import type { Evidence } from './evidence.js';
import type { Plan } from './scenarios/scenario.js';
import type { Returned } from './tasks.js';

export function wrongWith(plan: Plan, evidence: Evidence): string[] {
  return [
    ...wrongReleases(plan, evidence),
    ...wrongNodes(plan, evidence),
    ...wrongRuns(plan, evidence),
    ...wrongVoices(evidence),
    ...evidence.left.map((text) => `left waiting: ${text}`),
  ];
}

/** Every job is made once for each generation, none that should not be, and each that was made has run. */
export function wrongReleases(plan: Plan, evidence: Evidence): string[] {
  const { id, made, runs } = evidence;
  const wanted = typeof plan.made === 'function' ? plan.made(evidence) : plan.made;
  const wrong: string[] = [];
  for (const path of new Set([...Object.keys(wanted ?? {}), ...Object.keys(made)])) {
    const times = made[path] ?? 0;
    const expected = wanted === undefined ? 1 : (wanted[path] ?? 0);
    if (times !== expected) wrong.push(`${path} was made ${times}× instead of ${expected}×`);
    if (wanted !== undefined && times > 0 && !runs.some((run) => run.id === `${id}${path}`))
      wrong.push(`${path} never ran`);
  }
  return wrong;
}

/** A node is made once; a redrive makes those anew that have failed, an amendment the chord. */
export function wrongNodes({ isRedriven = false, isAmended = false }: Plan, { nodes }: Evidence): string[] {
  const most = isRedriven || isAmended ? 2 : 1;
  return (
    Object.entries(nodes)
      // The clock of a deadline may be wound up again; it only makes the node look. And who closes a header without knowing
      // that somebody else has makes once more what waits for late members, which then finds none.
      .filter(
        ([path, times]) => times > (path.endsWith('.late') ? 2 : most) && !/\.deadline(-\d+)?$/.test(path),
      )
      .map(([path, times]) => `node ${path} was made ${times}×`)
  );
}

/**
 * No attempt runs twice, and all runs of a task are given the same: but for an errback that runs while the canvas has been
 * redriven already, which is told what members have come to by then.
 */
function wrongRuns({ isRedriven = false }: Plan, { runs }: Evidence): string[] {
  const wrong: string[] = [];
  const seen = new Set<string>();
  const given = new Map<string, string>();
  for (const { task, id, generation, attempt, item = 0, got } of runs) {
    const one = `${id} of generation ${generation}`;
    const turn = `${one}, attempt ${attempt}, item ${item}`;
    if (seen.has(turn)) wrong.push(`${turn}, ran twice`);
    seen.add(turn);
    const json = JSON.stringify(got);
    const before = given.get(one) ?? json;
    given.set(one, before);
    if (before !== json && !(isRedriven && task === 'errback'))
      wrong.push(`${one} was given ${before} and ${json}`);
  }
  return wrong;
}

/** Whoever was heard was the last one to begin: an attempt that others have taken over from must not be. */
function wrongVoices({ came, runs }: Evidence): string[] {
  const last = new Map<string, number>();
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

const keyOf = (id: string, generation: number): string => `${id} of generation ${generation}`;

/** What of a value tells who was heard. */
export function voicesIn(value: JsonValue): Returned[] {
  if (value === null || typeof value !== 'object') return [];
  if (!Array.isArray(value) && 'by' in value && 'attempt' in value) return [value as unknown as Returned];
  return Object.values(value).flatMap((one) => voicesIn(one as JsonValue));
}
