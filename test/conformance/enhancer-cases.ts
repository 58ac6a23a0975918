import {
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  Catch,
  type ExceptionFilter,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  ParseIntPipe,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { map, type Observable } from 'rxjs';
import { Arg, Retry, Task } from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { useStage, type World } from './world.js';

@Injectable()
class Even implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return (context.getArgByIndex<number>(0) ?? 0) % 2 === 0;
  }
}

@Injectable()
class Bracket implements NestInterceptor {
  constructor(private readonly diary: Diary) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<string> {
    this.diary.write(`around ${context.getType<string>()}`);
    return next.handle().pipe(map((value) => `[${String(value)}]`));
  }
}

@Catch(RangeError)
class Forgive implements ExceptionFilter {
  catch(error: RangeError, _host: ArgumentsHost): unknown {
    return { forgiven: error.message };
  }
}

@Injectable()
class EnhancedTasks {
  @Task({ name: 'guarded' })
  @UseGuards(Even)
  guarded(value: number): number {
    return value;
  }

  @Task({ name: 'piped' })
  @Retry({ maxRetries: 3, backoff: { type: 'fixed', delay: 0 } })
  piped(@Arg(ParseIntPipe) value: number): number {
    return value + 1;
  }

  @Task({ name: 'bracketed' })
  @UseInterceptors(Bracket)
  bracketed(value: string): string {
    return value;
  }

  @Task({ name: 'forgiven' })
  @UseFilters(Forgive)
  forgiven(): never {
    throw new RangeError('too far');
  }
}

/** What stands around a task's handler. */
export function enhancerCases(world: World): void {
  describe('around a handler', () => {
    const it_ = useStage(world, {}, [EnhancedTasks, Even, Bracket]);
    const run = (task: string, ...args: (string | number)[]) => it_.stage.run(it_.stage.call(task, ...args));

    it('a guard lets pass or fails the task', async () => {
      expect(await (await run('guarded', 2)).get()).toBe(2);
      const refused = await run('guarded', 3);
      expect(await refused.failure()).toMatchObject({ error: { name: 'ForbiddenException' } });
    });

    it('a pipe changes an argument, or fails the task without a retry', async () => {
      expect(await (await run('piped', '41')).get()).toBe(42);
      const refused = await run('piped', 'x');
      expect(await refused.failure()).toMatchObject({
        request: { attempt: 1 },
        error: { code: 'INVALID_ARGUMENTS' },
      });
    });

    it('an interceptor changes the value', async () => {
      expect(await (await run('bracketed', 'x')).get()).toBe('[x]');
      expect(it_.stage.diary.entries).toEqual(['around task-queue']);
    });

    it('a filter makes a value of an error', async () => {
      expect(await (await run('forgiven')).get()).toEqual({ forgiven: 'too far' });
    });
  });
}
