import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { AppConfig, roleOf } from './config.js';
import { provideRedis } from './redis.js';

/** Starts what ROLE says: the HTTP server, a worker, or both in one process. SIGTERM and SIGINT end it in order. */
async function main(): Promise<void> {
  const role = roleOf(process.env);
  // Two processes with a private Redis each would never meet, so only one that does everything gets one.
  if (role === 'both' && !process.env.REDIS_URL) process.env.REDIS_URL = (await provideRedis()).url;
  // Read once more by the module; here a mistake is told before anything is started, and without a stack.
  new AppConfig(process.env);
  await (role === 'worker' ? startWorker() : startServer());
}

async function startServer(): Promise<void> {
  // Open event streams would keep a server that is told to stop.
  const app = await NestFactory.create(AppModule, { forceCloseConnections: true, abortOnError: false });
  app.enableShutdownHooks();
  await app.listen(app.get(AppConfig).port);
  new Logger('Main').log(`Listening on ${await app.getUrl()}`);
}

async function startWorker(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { abortOnError: false });
  app.enableShutdownHooks();
  new Logger('Main').log('Working');
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
