/** A Redis of a test's own: it can be killed, started again on the same port with its data, and frozen. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

interface Answer {
  readonly url?: string;
  readonly pid?: number;
  readonly error?: string;
}

export class PrivateRedis {
  readonly #lines: Interface;
  #pid = 0;
  #url = '';

  private constructor(
    private readonly program: ChildProcess,
    /** The folder of the server; gone with it. */
    readonly dir: string,
  ) {
    if (program.stdout === null) throw new TypeError('the program has no output');
    this.#lines = createInterface({ input: program.stdout });
  }

  /** @param args further settings of the server, as on its command line */
  static async start(...args: string[]): Promise<PrivateRedis> {
    const dir = mkdtempSync(join(tmpdir(), 'private-redis-'));
    const program = spawn(process.execPath, ['test/support/workers/redis-program.mjs', dir, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const redis = new PrivateRedis(program, dir);
    await redis.restart();
    return redis;
  }

  get url(): string {
    return this.#url;
  }

  /** Ends the server at once, as a crash does. What it had answered is in its file. */
  async kill(): Promise<void> {
    await this.#ask('kill');
  }

  /** Starts the server again where it was, with what it had. */
  async restart(): Promise<void> {
    const { url, pid } = await this.#ask('start');
    if (url === undefined || pid === undefined) throw new Error('a server of our own has a pid');
    this.#url = url;
    this.#pid = pid;
  }

  /** Stops the server from doing anything, while its connections stay open. */
  freeze(): void {
    process.kill(this.#pid, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.#pid, 'SIGCONT');
  }

  /** Ends the server for good. */
  async end(): Promise<void> {
    const gone = new Promise((resolve) => this.program.once('exit', resolve));
    this.program.stdin?.end();
    await gone;
    this.#lines.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #ask(command: string): Promise<Answer> {
    const line = new Promise<string>((resolve, reject) => {
      const ended = (): void => reject(new Error('the program of the private Redis has ended'));
      this.program.once('exit', ended);
      this.#lines.once('line', (answer) => {
        this.program.off('exit', ended);
        resolve(answer);
      });
    });
    this.program.stdin?.write(`${command}\n`);
    const answer = JSON.parse(await line) as Answer;
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}
