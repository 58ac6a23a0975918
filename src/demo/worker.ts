import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { DemoModule } from './demo.module.js';

/** A worker process of the demo. It tells its parent when it is ready, and does not outlive it. */
const app = await NestFactory.createApplicationContext(DemoModule, { abortOnError: false });
app.enableShutdownHooks();
process.once('disconnect', () => void app.close().finally(() => process.exit()));
process.send?.('ready');
