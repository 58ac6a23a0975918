/** The optional entry point: it needs @nestjs/microservices, which the main entry point does not. */
import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type AsyncMicroserviceOptions, MessagePattern, Payload } from '@nestjs/microservices';
import { TaskQueueModule } from 'nestjs-task-queue';
import {
  TaskQueueClient,
  TaskQueueMicroserviceModule,
  TaskQueueServer,
} from 'nestjs-task-queue/microservice';
import { firstValueFrom } from 'rxjs';

@Controller()
class Sums {
  @MessagePattern({ cmd: 'sum' })
  sum(@Payload() values: number[]): number {
    return values.reduce((sum, value) => sum + value, 0);
  }
}

@Module({
  imports: [
    TaskQueueModule.forRoot({ connection: { url: process.env['REDIS_URL'] } }),
    TaskQueueMicroserviceModule,
    TaskQueueMicroserviceModule.registerClient({ name: 'SUMS' }),
  ],
  controllers: [Sums],
})
class AppModule {}

const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(AppModule, {
  logger: false,
  inject: [TaskQueueServer],
  useFactory: (strategy: TaskQueueServer) => ({ strategy }),
});
try {
  await app.listen();
  const sum = await firstValueFrom(app.get<TaskQueueClient>('SUMS').send<number>({ cmd: 'sum' }, [1, 2, 3]));
  if (sum !== 6) throw new Error(`expected 6, got ${sum}`);
} finally {
  await app.close();
}
