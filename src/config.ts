import { Global, Module } from '@nestjs/common';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Duration, TaskQueueRole } from 'nestjs-task-queue';

type Environment = Readonly<Record<string, string | undefined>>;

/** Everything about this application that the environment decides, read once and checked. */
export class AppConfig {
  /** REDIS_URL: where the queues are. */
  readonly redisUrl: string;
  /** ROLE: `producer` answers HTTP, `worker` runs tasks, `both` does both. @defaultValue both */
  readonly role: TaskQueueRole;
  /** PORT of the HTTP server; 0 takes a free one. @defaultValue 3000 */
  readonly port: number;
  /** QUEUE_PREFIX: front of every Redis key of this application. @defaultValue licence-audit */
  readonly queuePrefix: string;
  /** CONCURRENCY: how many packages one worker audits at the same time. @defaultValue 8 */
  readonly concurrency: number;
  /** AUDIT_ROOT: the project whose installed packages are audited. @defaultValue this one */
  readonly auditRoot: string;
  /** REPORTS_DIR: where reports are kept, each in a folder of its own. @defaultValue reports/ of this project */
  readonly reportsDir: string;
  /** LOCK_DURATION: how long the tasks of a dead worker wait for another one. @defaultValue 30s */
  readonly lockDuration: Duration;
  /** STALLED_INTERVAL: how often a worker looks for the tasks of dead ones. @defaultValue 15s */
  readonly stalledInterval: Duration;
  /** MAX_TIMES_LOST: how many workers a package may take down before its audit fails. @defaultValue 2 */
  readonly maxTimesLost: number;
  /** BOARD_CREDENTIALS: `name:password` that opens the board at /queues; without it there is none. */
  readonly boardCredentials: string;

  /** @throws Error that names every variable that cannot be read */
  constructor(env: Environment) {
    const read = new EnvironmentReader(env);
    this.redisUrl = read.matching('REDIS_URL', /^rediss?:\/\/\S+$/, 'a URL such as redis://localhost:6379');
    this.role = read.role();
    this.port = read.integer('PORT', { min: 0, max: 65_535, fallback: 3000 });
    this.queuePrefix = read.matching('QUEUE_PREFIX', /^[\w.:-]+$/, 'letters and digits', 'licence-audit');
    this.concurrency = read.integer('CONCURRENCY', { min: 1, max: 1000, fallback: 8 });
    this.auditRoot = resolve(projectRoot(), read.text('AUDIT_ROOT', '.'));
    this.reportsDir = resolve(projectRoot(), read.text('REPORTS_DIR', 'reports'));
    this.lockDuration = read.text('LOCK_DURATION', '30s');
    this.stalledInterval = read.text('STALLED_INTERVAL', '15s');
    this.maxTimesLost = read.integer('MAX_TIMES_LOST', { min: 0, max: 100, fallback: 2 });
    this.boardCredentials = read.matching(
      'BOARD_CREDENTIALS',
      /^$|^[^:\s]+:\S{12,}$/,
      'name:password, with 12 characters or more in the password',
    );
    read.finish();
  }
}

/** Lets every module inject `AppConfig`. */
@Global()
@Module({
  providers: [{ provide: AppConfig, useFactory: () => new AppConfig(process.env) }],
  exports: [AppConfig],
})
export class ConfigModule {}

/** The role that the environment asks for; known before the rest of the configuration is. */
export function roleOf(env: Environment): TaskQueueRole {
  const read = new EnvironmentReader(env);
  const role = read.role();
  read.finish();
  return role;
}

/** The folder of package.json: the same for the sources and for what they are compiled to. */
export function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/** Reads variables and collects what is wrong with them, so that one start tells everything. */
class EnvironmentReader {
  readonly #problems: string[] = [];

  constructor(private readonly env: Environment) {}

  role(): TaskQueueRole {
    const role = this.text('ROLE', 'both');
    if (role === 'producer' || role === 'worker' || role === 'both') return role;
    this.#refuse('ROLE', 'producer, worker or both', role);
    return 'both';
  }

  /** A variable that is set to nothing counts as not set. */
  text(name: string, fallback: string): string {
    return this.env[name]?.trim() || fallback;
  }

  matching(name: string, form: RegExp, expected: string, fallback = ''): string {
    const value = this.text(name, fallback);
    // Not shown: a URL may hold a password.
    if (!form.test(value)) this.#refuse(name, expected, value === '' ? 'nothing' : 'something else');
    return value;
  }

  integer(name: string, { min, max, fallback }: { min: number; max: number; fallback: number }): number {
    const value = this.text(name, String(fallback));
    const number = Number(value);
    if (Number.isInteger(number) && number >= min && number <= max) return number;
    this.#refuse(name, `a whole number from ${min} to ${max}`, value);
    return fallback;
  }

  finish(): void {
    if (this.#problems.length === 0) return;
    throw new Error(`The environment cannot be used:\n${this.#problems.join('\n')}`);
  }

  #refuse(name: string, expected: string, found: string): void {
    this.#problems.push(`  ${name}: expected ${expected}, found ${found}`);
  }
}
