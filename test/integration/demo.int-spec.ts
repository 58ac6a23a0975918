/**
 * The demo application: its API over a small project, its roles, and its two modes from end to end.
 */
import { readdir, readFile } from 'node:fs/promises';
import { get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { NonRetryableError } from 'nestjs-task-queue';
import licences from 'spdx-license-list/full.js';
import { ReportStore } from '../../src/audits/report-store.js';
import { AppConfig } from '../../src/config.js';
import { LicenceAuditor } from '../../src/licences/licence-auditor.js';
import type { LicenceFinding } from '../../src/licences/licence-finding.js';
import { MissingLicenceTextError } from '../../src/licences/licence.errors.js';
import type { InstalledPackage } from '../../src/licences/package-inventory.js';
import { temporaryProject, type TemporaryProject } from '../../src/licences/temporary-project.fixture.js';
import { redisUrl, useDemoApps } from '../support/demo-app.js';
import { DemoBuild, summaryRows } from '../support/demo-process.js';

const apps = useDemoApps();
const UNKNOWN_ID = '5e0b6b54-8d5c-4b8e-9f0e-000000000000';
const NOBODY_LISTENS = 'redis://127.0.0.1:1';

let project: TemporaryProject;

beforeAll(async () => {
  const mit = licences.MIT?.licenseText ?? '';
  const isc = licences.ISC?.licenseText ?? '';
  const manifest = (name: string, license = 'MIT') => JSON.stringify({ name, version: '1.0.0', license });
  project = await temporaryProject({
    'node_modules/good/package.json': manifest('good'),
    'node_modules/good/LICENSE': mit,
    'node_modules/@scope/fine/package.json': manifest('@scope/fine', 'ISC'),
    'node_modules/@scope/fine/LICENSE': isc,
    'node_modules/liar/package.json': manifest('liar', 'ISC'),
    'node_modules/liar/LICENSE': mit,
    'node_modules/silent/package.json': manifest('silent'),
    'node_modules/broken/package.json': '{',
  });
});

afterAll(() => project[Symbol.asyncDispose]());

const onProject = () => ({ AUDIT_ROOT: project.root });

/** An auditor that does as it is told. */
const auditorThat = (audit: (pkg: InstalledPackage) => Promise<LicenceFinding>) => ({
  env: onProject(),
  change: (builder: Parameters<NonNullable<Parameters<typeof apps.boot>[0]>['change'] & object>[0]) =>
    builder.overrideProvider(LicenceAuditor).useValue({ audit }),
});

const findingOf = (pkg: InstalledPackage): LicenceFinding => ({
  package: pkg.name,
  version: pkg.version,
  declared: 'MIT',
  identified: [],
  verdict: 'consistent',
  category: 'permissive',
  obligations: [],
  notes: [],
  files: [],
});

describe('an audit through the API', () => {
  it('reports on every package, also on those that failed', async () => {
    const demo = await apps.boot({ env: onProject() });
    const started = await demo.http.post('/audits').send({ title: 'Five <packages>' }).expect(202);
    const { id } = started.body as { id: string };
    const links = {
      self: `/audits/${id}`,
      events: `/audits/${id}/events`,
      report: `/audits/${id}/report`,
    };
    expect(started.body).toEqual({ id, members: 5, links });
    expect(started.headers.location).toBe(links.self);

    const events = await demo.events(id);
    const counts = { size: 5, succeeded: 3, failed: 2, pending: 0 };
    expect(events.at(-2)).toEqual({ type: 'message', data: { state: 'SUCCESS', counts, progress: 1 } });
    expect(events.at(-1)).toEqual({ type: 'end', data: {} });

    const summary = {
      title: 'Five <packages>',
      members: 5,
      succeeded: 3,
      failed: 2,
      failures: { BROKEN_MANIFEST: 1, MISSING_LICENCE_TEXT: 1 },
      contradictions: 1,
      path: `${id}/report.html`,
    };
    expect(await demo.show(id)).toMatchObject({
      id,
      state: 'SUCCESS',
      counts,
      progress: 1,
      recovered: { strategy: 'CallbackWithOutcomes', failed: 2, size: 5 },
      summary,
      links,
    });

    const report = await demo.http.get(links.report).expect(200);
    expect(report.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(report.headers['content-security-policy']).toContain('sandbox');
    expect(report.text).toContain('Five &lt;packages&gt;');
    expect((await readdir(join(demo.config.reportsDir, id))).sort()).toEqual(['report.html', 'report.json']);
    const json = JSON.parse(await readFile(join(demo.config.reportsDir, id, 'report.json'), 'utf8')) as {
      failures: unknown[];
    };
    expect(demo.log).toContainEqual(
      expect.stringMatching(/auditLicence .*: error after 1 attempt: silent@1.0.0/),
    );
    expect(json.failures).toEqual([
      expect.objectContaining({ package: 'broken', code: 'BROKEN_MANIFEST', attempts: 1 }),
      expect.objectContaining({ package: 'silent', version: '1.0.0', code: 'MISSING_LICENCE_TEXT' }),
    ]);
  });

  it('takes the packages that are asked for', async () => {
    const demo = await apps.boot({ env: onProject() });
    const only = await demo.start({ only: ['liar', '@scope/fine'] });
    expect(only.members).toBe(2);
    const few = await demo.start({ limit: 1 });
    expect(few.members).toBe(1);
    expect((await demo.ended(only.id)).summary).toMatchObject({ members: 2, failed: 0, contradictions: 1 });
    expect(await demo.ended(few.id)).not.toHaveProperty('recovered');
  });

  it('waits for a busy file system, and never repeats what is final', async () => {
    const calls = new Map<string, number>();
    const demo = await apps.boot(
      auditorThat(async (pkg) => {
        const call = (calls.get(pkg.name) ?? 0) + 1;
        calls.set(pkg.name, call);
        if (pkg.name === 'good' && call < 3) throw Object.assign(new Error('open'), { code: 'EMFILE' });
        if (pkg.name === 'silent') throw new MissingLicenceTextError(pkg, 'MIT');
        if (pkg.name === 'liar') throw new TypeError('a defect');
        return findingOf(pkg);
      }),
    );
    const { id } = await demo.start();
    expect((await demo.ended(id)).summary).toMatchObject({
      succeeded: 3,
      failures: { MISSING_LICENCE_TEXT: 1, TypeError: 1 },
    });
    expect(Object.fromEntries(calls)).toEqual({ good: 3, silent: 1, liar: 2, broken: 1, '@scope/fine': 1 });
  });

  it('has no report while it runs', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const demo = await apps.boot(auditorThat((pkg) => gate.then(() => findingOf(pkg))));
    const { id, links } = await demo.start();
    const conflict = await demo.http.get(links.report).expect(409);
    expect(conflict.body).toMatchObject({ message: 'The audit is still running.' });
    expect(await demo.show(id)).toMatchObject({ counts: { size: 5, pending: 5 }, progress: 0 });
    expect(await demo.show(id)).not.toHaveProperty('summary');
    release();
    expect((await demo.ended(id)).state).toBe('SUCCESS');
    await demo.http.get(links.report).expect(200);
  });

  it('shows a failed audit like every other', async () => {
    const save = () => Promise.reject(new NonRetryableError('the disk is full'));
    const demo = await apps.boot({
      env: onProject(),
      change: (builder) => builder.overrideProvider(ReportStore).useValue({ save }),
    });
    const { id, links } = await demo.start();
    const view = await demo.ended(id);
    expect(view).toMatchObject({
      state: 'FAILURE',
      error: { code: 'NON_RETRYABLE', reason: 'error', message: 'the disk is full' },
    });
    expect(JSON.stringify(view)).not.toContain('    at ');
    await demo.http.get(links.report).expect(404);
  });

  it('lets a client leave the event stream', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const demo = await apps.boot(auditorThat((pkg) => gate.then(() => findingOf(pkg))));
    const { id, links } = await demo.start({ limit: 1 });
    const { port } = (demo.app.getHttpServer() as { address(): AddressInfo }).address();
    const first = await new Promise<string>((resolve, reject) => {
      const stream = get({ port, path: links.events }, (response) => {
        response.setEncoding('utf8').on('data', (text: string) => {
          if (!text.includes('data:')) return;
          stream.destroy();
          resolve(text);
        });
      }).once('error', reject);
    });
    expect(first).toMatch(/"state":"(PENDING|STARTED)"/);
    release();
    expect((await demo.ended(id)).state).toBe('SUCCESS');
  });

  it('is shared by a producer and a worker', async () => {
    const env = { ...onProject(), QUEUE_PREFIX: apps.prefix(), REPORTS_DIR: await apps.folder() };
    const api = await apps.boot({ env: { ...env, ROLE: 'producer' } });
    const { id, links } = await api.start();
    expect((await api.show(id)).state).toBe('PENDING');
    await apps.boot({ env: { ...env, ROLE: 'worker' } });
    expect((await api.ended(id)).summary).toMatchObject({ members: 5, succeeded: 3 });
    await api.http.get(links.report).expect(200);
  });
});

describe('what the API refuses', () => {
  it.each([
    [{ root: '/etc' }, 'property root should not exist'],
    [{ title: '' }, 'title must be longer than or equal to 1 characters'],
    [{ title: 7 }, 'title must be a string'],
    [{ only: 'good' }, 'only must be an array'],
    [{ only: [] }, 'only should not be empty'],
    [{ only: ['good', 'good'] }, "All only's elements must be unique"],
    [{ only: [{ path: '/etc' }] }, 'each value in only must be a string'],
    [{ limit: 0 }, 'limit must not be less than 1'],
    [{ limit: '5' }, 'limit must be an integer number'],
    [{ only: ['good', '../../etc'] }, 'Not installed: ../../etc'],
  ])('%j', async (body, problem) => {
    const demo = await apps.boot({ env: { ...onProject(), ROLE: 'producer' } });
    const { body: answer } = await demo.http.post('/audits').send(body).expect(400);
    expect([(answer as { message: unknown }).message].flat()).toContain(problem);
  });

  it.each([
    UNKNOWN_ID,
    'no-id',
    '..%2F..%2Fpackage.json',
    '%2e%2e',
    `${UNKNOWN_ID}.0`,
    `${UNKNOWN_ID}%00`,
    `..%2F${UNKNOWN_ID}`,
  ])('the id %s', async (id) => {
    const demo = await apps.boot({ env: { ...onProject(), ROLE: 'producer' } });
    for (const part of ['', '/events', '/report']) await demo.http.get(`/audits/${id}${part}`).expect(404);
  });

  it('refuses an environment that it cannot read, with everything that is wrong', () => {
    const env = { ROLE: 'boss', PORT: '65536', REDIS_URL: 'http://user:secret@host' };
    const refused = () => new AppConfig(env);
    expect(refused).toThrow(/REDIS_URL: .*\n.*ROLE: .*found boss\n.*PORT: .*found 65536/);
    expect(refused).not.toThrow(/secret/);
  });
});

describe('health', () => {
  it('is up with Redis', async () => {
    const demo = await apps.boot({ env: { ROLE: 'producer' } });
    const { body } = await demo.http.get('/health').expect(200);
    expect(body).toMatchObject({ status: 'ok', details: { 'task-queue': { status: 'up' } } });
    await demo.http.get('/health/live').expect(200);
    await demo.http.get('/health/ready').expect(200);
  });

  it('is down without Redis, while the server starts, and answers everything else with 503', async () => {
    const demo = await apps.boot({ env: { ...onProject(), REDIS_URL: NOBODY_LISTENS } });
    const answers = await Promise.all([
      demo.http.post('/audits'),
      demo.http.get(`/audits/${UNKNOWN_ID}`),
      demo.http.get(`/audits/${UNKNOWN_ID}/events`),
      demo.http.get(`/audits/${UNKNOWN_ID}/report`),
    ]);
    for (const { status, headers, text } of answers) {
      expect(status).toBe(503);
      expect(headers['retry-after']).toBe('5');
      expect(text).not.toContain('127.0.0.1');
    }
    const health = await demo.http.get('/health').expect(503);
    expect(health.body).toMatchObject({ status: 'error', details: { 'task-queue': { status: 'down' } } });
    await demo.http.get('/health/ready').expect(503);
    await demo.http.get('/health/live').expect(200);
  }, 240_000);
});

describe('the compiled demo', () => {
  let build: DemoBuild | undefined;
  const built = (): DemoBuild => {
    if (build === undefined) throw new Error('the build failed');
    return build;
  };
  beforeAll(async () => {
    build = await DemoBuild.make();
  }, 240_000);
  afterAll(() => build?.remove());

  it('comes to the same numbers when a worker is killed', async () => {
    const env = { REDIS_URL: redisUrl(), REPORTS_DIR: await apps.folder() };
    const quiet = await built().start('demo/main.js', [], env).ended;
    expect(quiet).toMatchObject({ code: 0, stderr: '' });
    const expected = summaryRows(quiet);
    expect(expected).toMatchObject({ retries: 0, 'callback runs': 1 });
    expect(expected.members).toBeGreaterThan(100);
    expect((expected.succeeded ?? 0) + (expected.failed ?? 0)).toBe(expected.members);

    const killed = await built().start('demo/main.js', ['--kill-workers'], env).ended;
    expect(killed).toMatchObject({ code: 0, stderr: '' });
    expect(killed.stdout).toMatch(/Worker 1 was killed in mid-run/);
    const { members, succeeded, failed, contradictions, ...rest } = summaryRows(killed);
    const { members: all, succeeded: good, failed: bad, contradictions: odd } = expected;
    expect({ members, succeeded, failed, contradictions }).toEqual({
      members: all,
      succeeded: good,
      failed: bad,
      contradictions: odd,
    });
    expect(rest).toMatchObject({ 'callback runs': 1, 'workers killed': 1 });
    expect(rest.executions).toBeGreaterThanOrEqual(members ?? Number.NaN);
    const reasons = /MISSING_LICENCE_TEXT \d+/;
    expect(reasons.exec(killed.stdout)?.[0]).toBe(reasons.exec(quiet.stdout)?.[0]);
  }, 240_000);

  it('takes everything with it that it started', async () => {
    const env = { REDIS_URL: redisUrl(), REPORTS_DIR: await apps.folder() };
    const demo = built().start('demo/main.js', ['--kill-workers'], env);
    const [, first, second] = await demo.says(/Worker 1 .* (\d+)\.\nWorker 2 .* (\d+)\./);
    await demo.says(/a chord of/);
    demo.kill('SIGINT');
    const { code, stderr } = await demo.ended;
    expect({ code, stderr }).toEqual({ code: 130, stderr: '\ndemo: stopped by SIGINT\n' });
    for (const pid of [first, second]) expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
  }, 240_000);

  it('refuses what it does not know', async () => {
    const { code, stderr } = await built().start('demo/main.js', ['--kill-all'], {}).ended;
    expect(code).toBe(2);
    expect(stderr).toContain('usage: npm run demo');
  }, 240_000);

  it('has a worker without HTTP that stays, and goes when it is told to', async () => {
    const env = { REDIS_URL: redisUrl(), QUEUE_PREFIX: apps.prefix(), ROLE: 'worker' };
    const worker = built().start('main.js', [], env);
    await worker.says(/Working/);
    worker.kill('SIGTERM');
    const { signal, stdout } = await worker.ended;
    expect(signal).toBe('SIGTERM');
    expect(stdout).not.toContain('Listening');
  }, 240_000);

  it('tells what is missing in the environment', async () => {
    const { code, stdout, stderr } = await built().start('main.js', [], { ROLE: 'worker' }).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      'The environment cannot be used:\n  REDIS_URL: expected a URL such as redis://localhost:6379, found nothing\n',
    );
  }, 240_000);
});
