import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { TaskQueueModule } from 'nestjs-task-queue';
import { AuditsModule } from './audits/audits.module.js';
import { BoardModule } from './board/board.module.js';
import { AppConfig, ConfigModule } from './config.js';
import { HealthModule } from './health/health.module.js';
import { BrokerUnavailableFilter } from './http/broker-unavailable.filter.js';

/** The licence audit: one application that answers HTTP, runs tasks or does both, as its role says. */
@Module({
  imports: [
    ConfigModule,
    TaskQueueModule.forRootAsync({
      inject: [AppConfig],
      useFactory: (config: AppConfig) => ({
        connection: { url: config.redisUrl },
        role: config.role,
        prefix: config.queuePrefix,
        queues: { default: { concurrency: config.concurrency }, reports: { concurrency: 2 } },
        // Less than what a client of the API waits for: it shall get a 503 and not a timeout.
        publishTimeout: '3s',
        worker: {
          lockDuration: config.lockDuration,
          stalledInterval: config.stalledInterval,
          maxTimesLost: config.maxTimesLost,
        },
      }),
    }),
    AuditsModule,
    BoardModule,
    HealthModule,
  ],
  providers: [{ provide: APP_FILTER, useClass: BrokerUnavailableFilter }],
})
export class AppModule {}
