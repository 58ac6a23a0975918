/** The board of the demo application: who gets to see it, and that it can only be looked at. */
import { temporaryProject, type TemporaryProject } from '../../src/licences/temporary-project.fixture.js';
import { AppConfig } from '../../src/config.js';
import { useDemoApps } from '../support/demo-app.js';

const apps = useDemoApps();
const CREDENTIALS = 'operator:correct-horse-battery';
const PAGES = ['/queues', '/queues/', '/queues/api/queues', '/queues/static/images/logo.svg'];
const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`;

let project: TemporaryProject;
beforeAll(async () => {
  project = await temporaryProject({ 'node_modules/broken/package.json': '{' });
});
afterAll(() => project[Symbol.asyncDispose]());

describe('without BOARD_CREDENTIALS', () => {
  it.each(['production', 'development', 'test'])('there is no board in %s', async (environment) => {
    const before = process.env.NODE_ENV;
    process.env.NODE_ENV = environment;
    try {
      const demo = await apps.boot();
      for (const page of PAGES) {
        const nowhere = await demo.http.get('/nowhere').expect(404);
        const { body } = await demo.http.get(page).set('Authorization', basic(CREDENTIALS)).expect(404);
        expect(body).toEqual({ ...(nowhere.body as object), message: `Cannot GET ${page}` });
      }
    } finally {
      if (before === undefined) delete process.env.NODE_ENV;
      else process.env.NODE_ENV = before;
    }
  });

  it.each(['operator', ':correct-horse-battery', 'operator:short', 'op er:correct-horse-battery'])(
    '%j is refused at the start, and not repeated in the message',
    (BOARD_CREDENTIALS) => {
      const start = () => new AppConfig({ REDIS_URL: 'redis://localhost', BOARD_CREDENTIALS });
      expect(start).toThrow('BOARD_CREDENTIALS: expected name:password');
      expect(start).not.toThrow(BOARD_CREDENTIALS);
    },
  );
});

describe('with BOARD_CREDENTIALS', () => {
  const boot = () => apps.boot({ env: { BOARD_CREDENTIALS: CREDENTIALS, AUDIT_ROOT: project.root } });

  it.each([
    ['nothing', undefined],
    ['another password', basic('operator:correct-horse-batterie')],
    ['another name', basic('somebody:correct-horse-battery')],
    ['the beginning of the password', basic('operator:correct-horse')],
    ['no password', basic('operator')],
    ['the credentials as they are', CREDENTIALS],
    ['another scheme', basic(CREDENTIALS).replace('Basic', 'Bearer')],
    ['what is no base64', 'Basic %%%'],
  ])('%s does not open it, whatever is asked', async (_, authorization) => {
    const demo = await boot();
    const ask = (method: 'get' | 'put' | 'post' | 'patch', page: string) => {
      const asked = demo.http[method](page);
      return authorization === undefined ? asked : asked.set('Authorization', authorization);
    };
    for (const page of PAGES) {
      const { headers, text } = await ask('get', page).expect(401);
      expect(headers['www-authenticate']).toMatch(/^Basic realm=/);
      expect(text).not.toContain('<html');
    }
    await ask('put', '/queues/api/queues/pause').expect(401);
    await ask('put', '/queues/api/queues/default/empty').expect(401);
    await ask('post', '/queues/api/queues/default/add').expect(401);
    await ask('patch', '/queues/api/queues/default/1/update-data').expect(401);
  });

  it('they open it: page, parts of the page, queues and what failed', async () => {
    const demo = await boot();
    const read = (page: string) => demo.http.get(`/queues${page}`).set('Authorization', basic(CREDENTIALS));
    const { id } = await demo.start();
    await demo.ended(id);

    const { text } = await read('').expect(200);
    expect(text).toContain('Licence audit');
    const [, script = ''] = /src="(static\/[^"]+\.js)"/.exec(text) ?? [];
    expect(text).toContain('<base href="/queues/"');
    await read(`/${script}`)
      .expect(200)
      .expect('content-type', /javascript/);

    const { queues } = (await read('/api/queues?activeQueue=default&status=failed').expect(200)).body as {
      queues: { name: string; readOnlyMode: boolean; counts: object; jobs: { failedReason: string }[] }[];
    };
    expect(queues.map(({ name }) => name).sort()).toEqual(['_canvas', 'default', 'reports']);
    expect(queues.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
    expect(queues.find(({ name }) => name === 'default')).toMatchObject({
      counts: { failed: 1, waiting: 0, active: 0 },
      jobs: [{ failedReason: expect.stringContaining('BrokenManifestError') }],
    });
    await read('/api/nothing').expect(404);
  });

  it('they open nothing but the look: every button is refused, and the tasks stay', async () => {
    const demo = await boot();
    const { id } = await demo.start();
    await demo.ended(id);
    const before = await demo.show(id);
    const { appRoutes } = jest.requireActual<{
      appRoutes: { api: { method: string | string[]; route: string }[] };
    }>('@bull-board/api/dist/routes.js');
    const buttons = appRoutes.api
      .flatMap(({ method, route }) => [method].flat().map((one) => ({ method: one, route })))
      .filter(({ method }) => method !== 'get');
    expect(buttons.length).toBeGreaterThan(15);

    for (const { method, route } of buttons) {
      for (const queueName of ['default', '_canvas']) {
        const path = route
          .replace(':queueName', queueName)
          .replace(':jobId', queueName === '_canvas' ? id : `${id}.0`)
          .replace(/:queueStatus/, 'failed')
          .replace(/:\w+/, 'x');
        const { status } = await demo.http[method as 'put' | 'post' | 'patch'](`/queues${path}`)
          .set('Authorization', basic(CREDENTIALS))
          .send({ force: true, data: {}, name: 'x', delay: 1, priority: 1, concurrency: 1 });
        // The two that concern all queues pass over those that can only be looked at.
        const forAll = /^\/api\/queues\/(?:pause|resume)$/.test(route);
        expect([method, path, Math.floor(status / 100)]).toEqual([method, path, forAll ? 2 : 4]);
      }
    }

    const { queues } = (
      await demo.http.get('/queues/api/queues').set('Authorization', basic(CREDENTIALS)).expect(200)
    ).body as {
      queues: { isPaused: boolean; globalConcurrency: number | null; counts: { failed: number } }[];
    };
    expect(queues.map(({ isPaused, globalConcurrency }) => [isPaused, globalConcurrency])).toEqual(
      Array(3).fill([false, null]),
    );
    expect(queues.reduce((sum, { counts }) => sum + counts.failed, 0)).toBe(1);
    expect(await demo.show(id)).toEqual(before);
  });
});
