import { type OverridableModule, TestTaskQueue, type TestTaskQueueOptions } from './test-task-queue.js';

/**
 * Lets modules run their tasks without Redis, whatever `TaskQueueModule.forRoot` and `forRootAsync` they import, named
 * ones among them. To be called before `compile()`.
 *
 * ```ts
 * const builder = Test.createTestingModule({ imports: [AppModule] });
 * const queue = useTestTaskQueue(builder);
 * const app = (await builder.compile()).createNestApplication();
 * ```
 *
 * @throws InvalidOptionsError when an option cannot be read
 */
export function useTestTaskQueue(
  builder: OverridableModule,
  options: TestTaskQueueOptions = {},
): TestTaskQueue {
  const queue = new TestTaskQueue(options);
  queue.serveIn(builder);
  return queue;
}
