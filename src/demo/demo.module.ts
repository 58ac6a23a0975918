import { Module } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { AppModule } from '../app.module.js';
import { CountRunsInterceptor, RetryHook } from './count-runs.js';
import { RunCounter } from './run-counter.js';

/** The application as it is, with everything counted that its tasks do. */
@Module({
  imports: [AppModule],
  providers: [RunCounter, RetryHook, { provide: APP_INTERCEPTOR, useClass: CountRunsInterceptor }],
})
export class DemoModule {}
