/** A master, a replica and Sentinels of a test's own, as real processes: the master can be killed, frozen, and brought back. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import { until } from './until.js';
import { PrivateRedis } from './workers/private-redis.js';

const HOST = '127.0.0.1';
const MASTER = 'tasks';
const SENTINELS = 3;
/** A port that nobody listens on. */
const NOBODY = 1;
/** How long a master is silent until it is taken for down: longer than a busy machine lets anybody wait. */
const DOWN_AFTER_MS = 1_500;
/** From the death of a master until a replica has taken its place, however busy the machine is. */
const FAILED_OVER_WITHIN_MS = 60_000;

/** What connects through the Sentinels: options of ioredis. */
export interface SentinelConnection {
  readonly sentinels: { readonly host: string; readonly port: number }[];
  readonly name: string;
}

export class SentinelRedis {
  readonly #clients: Redis[] = [];

  private constructor(
    /** The first master, and what becomes one after it. */
    readonly master: PrivateRedis,
    readonly replica: PrivateRedis,
    private readonly program: ChildProcess,
    private readonly dir: string,
    readonly connection: SentinelConnection,
  ) {}

  /** Starts everything, and resolves when every Sentinel knows the replica and the other Sentinels. */
  static async start(): Promise<SentinelRedis> {
    const master = await PrivateRedis.start('--appendonly', 'no');
    const { port } = new URL(master.url);
    const replica = await PrivateRedis.start('--appendonly', 'no', '--replicaof', `${HOST} ${port}`);
    await inSync(replica);
    const dir = mkdtempSync(join(tmpdir(), 'sentinels-'));
    const args = [dir, MASTER, port, String(SENTINELS), String(DOWN_AFTER_MS)];
    const program = spawn(process.execPath, ['test/support/workers/sentinel-program.mjs', ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const sentinels = await addressesOf(program);
    const redis = new SentinelRedis(master, replica, program, dir, { sentinels, name: MASTER });
    await until(() => redis.#isWatched(), 'the Sentinels know each other and the replica');
    return redis;
  }

  /** A client of a server, for a test that looks at it. */
  client(of: PrivateRedis): Redis {
    const client = new Redis(of.url);
    client.on('error', () => undefined);
    this.#clients.push(client);
    return client;
  }

  /** What the master is told from now on does not reach the replica: a link that has failed. */
  async stopReplicating(): Promise<void> {
    const client = this.client(this.replica);
    await client.replicaof(HOST, NOBODY);
    client.disconnect();
  }

  /** Resolves when the replica has taken the place of the master, and all Sentinels say so. */
  async failedOver(): Promise<void> {
    const { port } = new URL(this.replica.url);
    await until(
      async () => {
        const masters = await this.#ask('get-master-addr-by-name');
        return masters.every((address) => String((address as string[])[1]) === port);
      },
      'the replica is the master',
      FAILED_OVER_WITHIN_MS,
    );
  }

  async end(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.disconnect();
    const gone = new Promise((resolve) => this.program.once('exit', resolve));
    this.program.stdin?.end();
    await gone;
    await Promise.all([this.master.end(), this.replica.end()]);
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #isWatched(): Promise<boolean> {
    const states = await this.#ask('master');
    return states.every((fields) => {
      const state = fieldsOf(fields as string[]);
      return state.get('num-slaves') === '1' && state.get('num-other-sentinels') === String(SENTINELS - 1);
    });
  }

  /** What every Sentinel says to a question about the master. */
  #ask(question: string): Promise<unknown[]> {
    return Promise.all(
      this.connection.sentinels.map(async (address) => {
        const client = new Redis({ ...address, lazyConnect: true, enableReadyCheck: false });
        client.on('error', () => undefined);
        try {
          return await client.call('SENTINEL', question, MASTER);
        } finally {
          client.disconnect();
        }
      }),
    );
  }
}

async function inSync(replica: PrivateRedis): Promise<void> {
  const client = new Redis(replica.url);
  try {
    await until(
      async () => (await client.info('replication')).includes('master_link_status:up'),
      'the replica is in sync',
    );
  } finally {
    client.disconnect();
  }
}

function addressesOf(program: ChildProcess): Promise<{ host: string; port: number }[]> {
  return new Promise((resolve, reject) => {
    if (program.stdout === null) throw new TypeError('the program has no output');
    program.once('exit', () => reject(new Error('the program of the Sentinels has ended')));
    createInterface({ input: program.stdout }).once('line', (line) => {
      const started = JSON.parse(line) as { port: number }[];
      resolve(started.map(({ port }) => ({ host: HOST, port })));
    });
  });
}

function fieldsOf(list: readonly string[]): Map<string, string> {
  return new Map(list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1] ?? ''] as const] : [])));
}
