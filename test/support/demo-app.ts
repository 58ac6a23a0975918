/**
 * The demo application with a prefix, a project to audit and a folder for reports of its own.
 */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication, LoggerService } from '@nestjs/common';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { Redis } from 'ioredis';
import request from 'supertest';
import { AppModule } from '../../src/app.module.js';
import type { AuditView, StartedAudit } from '../../src/audits/audit-view.js';
import { AppConfig } from '../../src/config.js';

/** The Redis of the run. */
export function redisUrl(): string {
  const url = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL;
  if (url === undefined || url === '') throw new Error('neither TEST_REDIS_URL nor REDIS_URL is set');
  return url;
}

/** Keeps the lines that an application logs. */
class LogLines implements LoggerService {
  readonly lines: string[] = [];
  log = (message: unknown): unknown => this.lines.push(String(message));
  warn = this.log;
  error = this.log;
}

/** A demo application that listens. */
export class DemoApp {
  constructor(
    readonly app: INestApplication,
    readonly config: AppConfig,
    readonly log: readonly string[],
  ) {}

  get http(): ReturnType<typeof request> {
    return request(this.app.getHttpServer() as Parameters<typeof request>[0]);
  }

  /** Starts an audit through the API. */
  async start(body: object = {}): Promise<StartedAudit> {
    return (await this.http.post('/audits').send(body).expect(202)).body as StartedAudit;
  }

  /** What the API says about an audit. */
  async show(id: string): Promise<AuditView> {
    return (await this.http.get(`/audits/${id}`).expect(200)).body as AuditView;
  }

  /** Reads the event stream to its end; returns the data of its events by type. */
  async events(id: string): Promise<{ type: string; data: unknown }[]> {
    const { text } = await this.http.get(`/audits/${id}/events`).expect(200);
    return text
      .split('\n\n')
      .map((block) => ({ type: field(block, 'event') ?? 'message', data: field(block, 'data') }))
      .flatMap(({ type, data }) => (data === undefined ? [] : [{ type, data: JSON.parse(data) as unknown }]));
  }

  /** Waits for the end of an audit. */
  async ended(id: string): Promise<AuditView> {
    await this.events(id);
    return this.show(id);
  }
}

function field(block: string, name: string): string | undefined {
  return new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1];
}

/** What an application is made of, over what the fixture gives. */
export interface DemoAppSpec {
  readonly env?: Readonly<Record<string, string>>;
  readonly change?: (builder: TestingModuleBuilder) => TestingModuleBuilder;
}

/** The applications of one spec; they are closed, and what they stored is removed, after each test. */
export class DemoApps {
  readonly #apps: INestApplication[] = [];
  readonly #folders: string[] = [];
  readonly #prefixes = new Set<string>();

  /** A prefix that nobody else has. */
  prefix(): string {
    const prefix = `demo-test-${randomUUID().slice(0, 13)}`;
    this.#prefixes.add(prefix);
    return prefix;
  }

  /** A folder that exists for one test. */
  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'demo-'));
    this.#folders.push(folder);
    return folder;
  }

  async boot({ env = {}, change = (builder) => builder }: DemoAppSpec = {}): Promise<DemoApp> {
    const config = new AppConfig({
      REDIS_URL: redisUrl(),
      QUEUE_PREFIX: this.prefix(),
      REPORTS_DIR: await this.folder(),
      PORT: '0',
      ...env,
    });
    const log = new LogLines();
    const builder = Test.createTestingModule({ imports: [AppModule] })
      .setLogger(log)
      .overrideProvider(AppConfig)
      .useValue(config);
    const app = (await change(builder).compile()).createNestApplication({ forceCloseConnections: true });
    this.#apps.push(app);
    // A worker is an application that nobody can ask.
    await (config.role === 'worker' ? app.init() : app.listen(0, '127.0.0.1'));
    return new DemoApp(app, config, log.lines);
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#apps.splice(0).map((app) => app.close()));
    await Promise.all(this.#folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
    const redis = new Redis(redisUrl());
    for (const prefix of this.#prefixes) {
      const keys = await redis.keys(`*${prefix}*`);
      if (keys.length > 0) await redis.unlink(keys);
    }
    this.#prefixes.clear();
    redis.disconnect();
  }
}

/** Applications that are closed after each test of the file. */
export function useDemoApps(): DemoApps {
  const apps = new DemoApps();
  afterEach(() => apps.closeAll(), 40_000);
  return apps;
}
