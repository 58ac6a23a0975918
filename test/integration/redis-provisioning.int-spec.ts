/**
 * Redis where there is none: each test runs the tools in a process of its own, from a copy that an ordinary
 * user can read, with a PATH on which no Redis can be found. Two tests really download; the rest use what the
 * first one fetched.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

interface Running {
  child: ChildProcess;
  firstLine: Promise<string>;
  ended: Promise<Ended>;
}

interface StartedRedis {
  url: string;
  port: number;
  pid: number;
  dir: string;
  source: string;
  binary: string;
}

const hidden = /^(redis|valkey)-|^(docker|brew)$/;
const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => existsSync(folder));
const hasApt = onPath.some((folder) => existsSync(join(folder, 'apt-get')));
const whereAptIs = hasApt ? it : it.skip;

const root = realpathSync(mkdtempSync(join(tmpdir(), 'redis-provisioning-')));
const tools = join(root, 'tools');
const temporary = makeFolder('tmp', 0o1777);
const empty = makeFolder('empty');
const cache = makeFolder('cache');
const withoutRedis = makeFolder('bin');
const children: ChildProcess[] = [];
const servers: Server[] = [];

beforeAll(() => {
  cpSync('tools/redis', tools, { recursive: true });
  chmodSync(root, 0o755);
  for (const folder of onPath) {
    for (const name of readdirSync(folder).filter((entry) => !hidden.test(entry))) {
      if (!existsSync(join(withoutRedis, name))) symlinkSync(join(folder, name), join(withoutRedis, name));
    }
  }
});

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

afterAll(async () => {
  for (const child of children.filter(
    ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
  )) {
    child.kill('SIGKILL');
  }
  await until(() => readdirSync(temporary).length === 0).catch(() => {});
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
});

jest.setTimeout(120_000);

describe('fetching', () => {
  whereAptIs(
    'two processes fetch into one cache at once, past a lock and a half download of one that crashed',
    async () => {
      const lock = `${await serverFolder(cache)}.lock`;
      mkdirSync(join(lock, 'ready/bin'), { recursive: true });
      writeFileSync(join(lock, 'ready/bin/redis-server'), 'half of a bina');
      writeFileSync(join(lock, 'owner'), 'one that crashed');
      const longAgo = new Date(Date.now() - 3_600_000);
      utimesSync(lock, longAgo, longAgo);

      const both = await Promise.all([runScript(startAndStop).ended, runScript(startAndStop).ended]);

      for (const { stdout, stderr } of both) {
        expect({ ...lastJson(stdout), stderr }).toMatchObject({ source: 'cache', reply: 'PONG' });
      }
      expect(
        both
          .map(({ stderr }) => stderr)
          .join('')
          .match(/fetching a Redis server/g),
      ).toHaveLength(1);
      expect(readdirSync(cache)).toHaveLength(1);
    },
    240_000,
  );

  whereAptIs(
    'an ordinary user without package indexes fetches with indexes of their own',
    async () => {
      const home = makeFolder('home');
      const noIndexes = makeFolder('home/no-indexes');
      const ownCache = join(home, 'cache of mine');
      const aptConfig = join(home, 'apt.conf');
      writeFileSync(aptConfig, `Dir::State::lists "${noIndexes}";\n`);
      const isRoot = process.getuid?.() === 0;
      const nobody = isRoot ? { uid: 65_534, gid: 65_534 } : {};
      if (isRoot) [home, noIndexes].forEach((folder) => chownSync(folder, 65_534, 65_534));

      const { stdout, stderr } = await runScript(startAndStop, {
        ...nobody,
        cwd: home,
        env: { HOME: home, APT_CONFIG: aptConfig, TASK_QUEUE_REDIS_CACHE: ownCache },
      }).ended;

      expect({ ...lastJson(stdout), stderr }).toMatchObject({
        source: 'cache',
        reply: 'PONG',
        stderr: expect.stringContaining('reading the package indexes') as string,
      });
      const [server] = readdirSync(ownCache);
      expect(statSync(join(ownCache, server ?? '')).uid).toBe(isRoot ? 65_534 : process.getuid?.());
      expect(readdirSync(noIndexes)).toEqual([]);
    },
    240_000,
  );

  it('names every choice and why it was none when nothing is available', async () => {
    const { code, stderr } = await runScript('await locateRedis()', {
      env: { PATH: empty, TASK_QUEUE_REDIS_CACHE: join(empty, 'cache') },
    }).ended;

    expect(code).toBe(1);
    expect(stderr).toMatch(/1\. REDIS_URL: .*redis:\/\/127\.0\.0\.1:6379/);
    expect(stderr).toMatch(/2\. PATH: .*apt-get install redis-server/);
    expect(stderr).toMatch(/3\. apt: .*TASK_QUEUE_REDIS_CACHE.*\n.*apt-get, apt-cache, dpkg-deb, tar, ldd/);
    expect(stderr).toMatch(/4\. Homebrew: .*brew install redis.*\n.*brew is not on PATH/);
    expect(stderr).toMatch(/5\. Docker: .*start a Docker engine.*\n.*docker is not on PATH/);
  });
});

describe('a server on PATH', () => {
  it('comes before the cache and has the settings of a private server', async () => {
    const bin = await folderWithRedis('on-path');
    const parent = runScript('say(await startRedis()); setInterval(() => {}, 1000)', { env: { PATH: bin } });
    const redis = JSON.parse(await parent.firstLine) as StartedRedis;
    const client = new Redis(redis.url);
    const names = [
      'bind',
      'save',
      'appendonly',
      'maxmemory-policy',
      'protected-mode',
      'enable-debug-command',
    ];
    const settings = (await Promise.all(names.map((name) => client.config('GET', name)))) as string[][];
    client.disconnect();
    parent.child.kill();

    expect([redis.source, redis.binary]).toEqual(['path', join(bin, 'redis-server')]);
    expect(Object.fromEntries(settings)).toEqual({
      bind: '127.0.0.1',
      save: '',
      appendonly: 'no',
      'maxmemory-policy': 'noeviction',
      'protected-mode': 'yes',
      'enable-debug-command': 'local',
    });
  });

  it('is passed over when it does not run', async () => {
    const bin = makeFolder('broken');
    writeScript(join(bin, 'redis-server'), 'exit 127');

    const { stdout } = await runScript('say(await locateRedis())', {
      env: { PATH: `${bin}${delimiter}${childPath()}` },
    }).ended;

    expect(lastJson(stdout).binary).not.toBe(join(bin, 'redis-server'));
  });
});

describe('a private server', () => {
  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
    'is gone, with its folder, after %s to the group of its parent',
    async (signal) => {
      const parent = runScript(`say(await startRedis()); setInterval(() => {}, 1000);`, { detached: true });
      const redis = JSON.parse(await parent.firstLine) as StartedRedis;
      expect(existsSync(redis.dir)).toBe(true);

      // A terminal sends Ctrl-C to the whole group.
      process.kill(-Number(parent.child.pid), signal);

      expect((await parent.ended).signal).toBe(signal);
      await until(() => !isAlive(redis.pid) && !existsSync(redis.dir));
    },
  );

  it('goes with a parent that ends or crashes without stopping it', async () => {
    const { stdout, code } = await runScript(`say(await startRedis()); null.crash`).ended;
    const redis = lastJson<StartedRedis>(stdout);

    expect(code).toBe(1);
    await until(() => !isAlive(redis.pid) && !existsSync(redis.dir));
  });

  it('comes back on its port with its data after a kill', async () => {
    const dir = join(root, 'kept data');

    const { stdout } = await runScript(
      `const options = { private: true, appendOnly: true, dir: ${JSON.stringify(dir)} };
       const first = await startRedis(options);
       await raw(first.port, 'SET', 'task', 'done');
       first.kill('SIGKILL');
       const second = await startRedis({ ...options, port: first.port });
       say({ ports: [first.port, second.port], value: await raw(second.port, 'GET', 'task') });
       await first.stop();
       await second.stop();`,
    ).ended;

    const { ports, value } = lastJson<{ ports: [number, number]; value: string }>(stdout);
    expect(ports[0]).toBe(ports[1]);
    expect(value).toBe('done');
    expect(existsSync(join(dir, 'appendonlydir'))).toBe(true);
  });

  it('can be frozen, and stopped while it is', async () => {
    const { stdout } = await runScript(
      `const redis = await startRedis();
       redis.kill('SIGSTOP');
       const frozen = await raw(redis.port, 'PING').catch((error) => error.message);
       redis.kill('SIGCONT');
       const thawed = await raw(redis.port, 'PING');
       redis.kill('SIGSTOP');
       await redis.stop();
       redis.kill('SIGKILL');
       say({ ...redis, frozen, thawed });`,
    ).ended;

    const redis = lastJson<StartedRedis>(stdout);
    expect(redis).toMatchObject({ frozen: 'no answer within 1 s', thawed: 'PONG' });
    expect([isAlive(redis.pid), existsSync(redis.dir)]).toEqual([false, false]);
  });

  it('says with its log why it does not start', async () => {
    const taken = await listen(() => {});

    const { stderr } = await runScript(`await startRedis({ port: ${taken.port} })`).ended;

    expect(stderr).toMatch(/did not become ready on 127\.0\.0\.1:\d+: the server ended \(exit code 1\)/);
    expect(stderr).toMatch(/The end of its log:[^]*Address already in use/);
  });
});

describe('REDIS_URL', () => {
  it('wins, is left running, and is not used where a private server is asked for', async () => {
    const given = await listen((command, answer) => answer(command.includes('PING') ? '+PONG' : '-ERR'));
    const url = `redis://127.0.0.1:${given.port}/3`;

    const { stdout } = await runScript(
      `const used = await startRedis();
       await used.stop();
       const own = await startRedis({ private: true });
       say({ used, own, kill: (() => { try { used.kill(); } catch (error) { return error.message; } })() });
       await own.stop();`,
      { env: { REDIS_URL: url } },
    ).ended;

    const { used, own, kill } = lastJson<{ used: object; own: StartedRedis; kill: string }>(stdout);
    expect(used).toEqual({ url, host: '127.0.0.1', port: given.port, source: 'REDIS_URL' });
    expect(own.port).not.toBe(given.port);
    expect(kill).toMatch(/private: true/);
  });

  it('is refused soon, without its password, when it is unreachable, silent, closed to us or malformed', async () => {
    const silent = await listen(() => {});
    const closed = await listen((_command, answer) => answer('-WRONGPASS invalid username-password pair'));
    const gone = await listen(() => {});
    gone.server.close();
    const startedAt = Date.now();

    const errors = await Promise.all(
      [
        `redis://user:s3cret@127.0.0.1:${gone.port}/0`,
        `redis://:s3cret@127.0.0.1:${silent.port}`,
        `redis://:s3cret@127.0.0.1:${closed.port}`,
        'http://user:s3cret@localhost',
        'redis://user:s3cret%@localhost',
      ].map(async (url) => (await runScript('await startRedis()', { env: { REDIS_URL: url } }).ended).stderr),
    );

    expect(Date.now() - startedAt).toBeLessThan(15_000);
    expect(errors.join('\n')).not.toContain('s3cret');
    expect(errors[0]).toContain(`REDIS_URL names redis://***@127.0.0.1:${gone.port}/0, which cannot be used`);
    expect(errors[0]).toContain('ECONNREFUSED');
    expect(errors[1]).toContain('no answer within 5 s');
    expect(errors[2]).toContain('WRONGPASS');
    expect(errors[3]).toContain('REDIS_URL must look like redis://host:port');
    expect(errors[4]).toContain('REDIS_URL must look like redis://host:port');
  });
});

describe('a container', () => {
  it('is published on the loopback and removed at the end, also of a killed parent', async () => {
    const redis = await folderWithRedis('docker-engine');
    const bin = makeFolder('docker');
    const calls = join(bin, 'calls');
    // Stands for the engine: serves the published port with the settings given after the image.
    writeScript(
      join(bin, 'docker'),
      `echo "$@" >> '${calls}'
       if [ "$1" = run ]; then port="\${6#127.0.0.1:}"; port="\${port%:6379}"; fi
       if [ "$1" = run ]; then exec '${redis}/redis-server' --port "$port" --save ''; fi`,
    );
    const parent = runScript(`say(await startRedis()); setInterval(() => {}, 1000);`, {
      env: { PATH: bin, TASK_QUEUE_REDIS_CACHE: empty },
    });
    const started = JSON.parse(await parent.firstLine) as StartedRedis;
    parent.child.kill('SIGKILL');
    await until(() => !existsSync(started.dir));

    const [, run, removal] = readFileSync(calls, 'utf8').trim().split('\n').slice(1);
    const name = /--name (\S+)/.exec(run ?? '')?.[1];
    expect(started.source).toBe('docker');
    expect(run).toContain(`-p 127.0.0.1:${started.port}:6379 redis:7-alpine redis-server --port 6379`);
    expect(removal).toBe(`rm -f ${name}`);
  });
});

describe('with-redis', () => {
  const command = join(tools, 'with-redis.mjs');

  it('runs a command with REDIS_URL, passes its exit code on and stops Redis', async () => {
    const inner = 'console.log(process.env.REDIS_URL); process.exit(7)';

    const { code, stdout } = await runNode([command, '--', process.execPath, '-e', inner]).ended;

    expect(code).toBe(7);
    expect(stdout).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/m);
    await expect(isFree(Number(new URL(stdout.trim()).port))).resolves.toBe(true);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('forwards %s and waits for the command', async (signal) => {
    const inner = `process.on('${signal}', () => { console.log('bye'); process.exit(3); });
                   console.log(process.env.REDIS_URL); setInterval(() => {}, 1000);`;
    const running = runNode([command, '--', process.execPath, '-e', inner]);
    const url = new URL(await running.firstLine);

    running.child.kill(signal);

    const { code, stdout } = await running.ended;
    expect([code, stdout.trim().split('\n').at(-1)]).toEqual([3, 'bye']);
    await expect(isFree(Number(url.port))).resolves.toBe(true);
  });

  it('tells a command that cannot be run from a wrong call', async () => {
    const [unknown, wrong] = await Promise.all([
      runNode([command, '--', 'no-such-command']).ended,
      runNode([command, 'no-dashes']).ended,
    ]);

    expect([unknown.code, wrong.code]).toEqual([127, 2]);
    expect(wrong.stderr).toContain('usage: with-redis.mjs');
  });
});

const startAndStop = `
  const redis = await startRedis();
  say({ source: redis.source, reply: await raw(redis.port, 'PING') });
  await redis.stop();
`;

interface RunOptions {
  env?: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
  cwd?: string;
  detached?: boolean;
}

function runScript(body: string, options?: RunOptions): Running {
  const url = (file: string) => JSON.stringify(pathToFileURL(join(tools, file)).href);
  const script = `
    import { locateRedis, startRedis } from ${url('provision.mjs')};
    import { askRedis } from ${url('ask-redis.mjs')};
    import { serverFolder } from ${url('cache-folder.mjs')};
    const say = (value) => console.log(JSON.stringify(value));
    const raw = (port, ...command) => askRedis({ host: '127.0.0.1', port }, command, 1000);
    ${body}`;
  return runNode(['--input-type=module', '-e', script], options);
}

function runNode(args: string[], { env, ...options }: RunOptions = {}): Running {
  const { REDIS_URL: _url, NODE_OPTIONS: _options, ...inherited } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
    env: { ...inherited, PATH: childPath(), TMPDIR: temporary, TASK_QUEUE_REDIS_CACHE: cache, ...env },
  });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const firstLine = new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (stdout.includes('\n')) resolve(stdout.slice(0, stdout.indexOf('\n')));
    });
    child.once('close', () => reject(new Error(`no line was printed; standard error: ${stderr}`)));
  });
  firstLine.catch(() => {});
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, firstLine, ended };
}

/** Where nothing can be fetched the tests that need some Redis use the one of the machine. */
function childPath(): string {
  return hasApt ? withoutRedis : (process.env.PATH ?? '');
}

async function serverFolder(cacheFolder: string): Promise<string> {
  const env = { TASK_QUEUE_REDIS_CACHE: cacheFolder };
  return lastJson<string>((await runScript('say(serverFolder())', { env }).ended).stdout);
}

async function folderWithRedis(name: string): Promise<string> {
  const { stdout } = await runScript('say(await locateRedis())').ended;
  const { binary, env } = lastJson<{ binary: string; env: Record<string, string> }>(stdout);
  const exports = Object.entries(env).map(([key, value]) => `export ${key}='${value}'`);
  const folder = makeFolder(name);
  writeScript(join(folder, 'redis-server'), [...exports, `exec '${binary}' "$@"`].join('\n'));
  return folder;
}

function makeFolder(name: string, mode = 0o755): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, mode);
  return folder;
}

function writeScript(file: string, body: string): void {
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
}

function lastJson<T = Record<string, unknown>>(stdout: string): T {
  return JSON.parse(stdout.trim().split('\n').at(-1) || '{}') as T;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function until(condition: () => boolean, withinMs = 60_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${condition.toString()}`);
    await sleep(20);
  }
}

type Answerer = (command: string, answer: (line: string) => void) => void;

async function listen(onCommand: Answerer): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => onCommand(data.toString(), (line) => socket.write(`${line}\r\n`)));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
