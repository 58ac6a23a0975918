import { Ajv } from 'ajv';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { read } from './workspace.js';

interface Service {
  image?: string;
  build?: { context: string; target: string };
  command?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
}
interface ComposeFile {
  services: Record<'api' | 'worker' | 'redis', Service>;
  volumes: Record<string, unknown>;
}

/** The schema of the Compose Specification, as dclint ships it. */
const schema = JSON.parse(
  readFileSync(join(dirname(require.resolve('dclint/package.json')), 'schemas/compose.schema.json'), 'utf8'),
) as Record<string, unknown>;
// It names its dialect by https, under which Ajv does not know it.
delete schema['$schema'];
const isComposeFile = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);

const file = parse(read('docker-compose.yml')) as ComposeFile;
const { api, worker, redis } = file.services;

describe('docker-compose.yml', () => {
  it('follows the Compose Specification', () => {
    expect(isComposeFile(file) ? [] : isComposeFile.errors).toEqual([]);
  });

  it('would be refused where it does not', () => {
    const wrong = parse(read('docker-compose.yml')) as { services: { redis: object } };
    Object.assign(wrong.services.redis, { helthcheck: {} });
    expect(isComposeFile(wrong)).toBe(false);
  });

  it('runs a Redis that keeps what it has acknowledged', () => {
    expect(redis.image).toBe('redis:7-alpine');
    const command = redis.command?.join(' ');
    expect(command).toContain('--appendonly yes');
    expect(command).toContain('--maxmemory-policy noeviction');
    expect(redis.volumes).toEqual([expect.stringMatching(/^[\w-]+:\/data$/)]);
    expect(redis.healthcheck?.test).toEqual(['CMD', 'redis-cli', 'ping']);
  });

  it('publishes nothing beyond this host', () => {
    const ports = Object.values(file.services).flatMap((service) => service.ports ?? []);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  it('runs the application in its two roles, once Redis is ready', () => {
    expect(api.environment).toMatchObject({
      ROLE: 'producer',
      REDIS_URL: 'redis://redis:6379',
      PORT: '3000',
    });
    expect(worker.environment).toMatchObject({ ROLE: 'worker', REDIS_URL: 'redis://redis:6379' });
    for (const service of [api, worker]) {
      expect(service.depends_on).toEqual({ redis: { condition: 'service_healthy' } });
    }
    expect(api.ports).toEqual([expect.stringMatching(new RegExp(`:${api.environment?.['PORT']}$`))]);
  });

  it('builds stages that the Dockerfile has', () => {
    const stages = [...read('Dockerfile').matchAll(/^FROM \S+ AS (\w+)$/gm)].map(([, name]) => name);
    for (const service of [api, worker]) {
      expect(service.build?.context).toBe('.');
      expect(stages).toContain(service.build?.target);
    }
  });

  it('declares the volumes that it mounts, and shares the reports', () => {
    const mounted = Object.values(file.services).flatMap((service) => service.volumes ?? []);
    const names = new Set(mounted.map((volume) => volume.split(':')[0] ?? ''));
    expect([...names].sort()).toEqual(Object.keys(file.volumes).sort());
    expect(api.volumes).toEqual(worker.volumes);
  });
});
