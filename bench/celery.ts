import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Comparison } from './measure.js';
import { drain } from './no-op-tasks.js';
import { REDIS_URL } from './redis-url.js';
import type { Cost } from './stopwatch.js';
import { chordOf } from './wide-chord.js';

const PYTHONS = ['python3', '/usr/bin/python3'];
const FOLDER = join(process.cwd(), 'bench', 'celery');
const LIMIT_MS = 15 * 60_000;

/** The same work by Celery on the same Redis, where a Python has it (`apt install python3-celery python3-redis`). */
export function againstCelery({ python, version }: Celery): readonly Comparison[] {
  const about = `Celery ${version}, prefork, a process a core`;
  const measure = (kind: 'noop' | 'chord', count: number) => async (): Promise<Cost> => {
    const { stdout } = await promisify(execFile)(python, ['measure.py', kind, String(count)], {
      cwd: FOLDER,
      env: { ...process.env, REDIS_URL, PYTHONDONTWRITEBYTECODE: '1' },
      timeout: LIMIT_MS,
    });
    return { ms: Number(stdout) };
  };
  return [
    {
      name: `no-op task, against ${about}`,
      unit: 'task',
      goal: 'shows what a move from Celery brings',
      units: 5_000,
      reference: measure('noop', 5_000),
      ours: () => drain(5_000, 'noop', true),
    },
    {
      name: `chord of 1,000 members, against ${about}`,
      unit: 'member',
      goal: 'shows what a move from Celery brings',
      units: 1_000,
      reference: measure('chord', 1_000),
      ours: () => chordOf(1_000),
    },
  ];
}

export interface Celery {
  readonly python: string;
  readonly version: string;
}

/** The Celery of this machine, if a Python has one. */
export function findCelery(): Celery | undefined {
  for (const python of PYTHONS) {
    try {
      const code = 'import celery, redis; print(celery.__version__)';
      const version = execFileSync(python, ['-c', code], { stdio: ['ignore', 'pipe', 'ignore'] });
      return { python, version: version.toString().trim() };
    } catch {
      // The next one may have it.
    }
  }
  return undefined;
}
