import {
  type ArgumentMetadata,
  BadRequestException,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  ParseIntPipe,
  type PipeTransform,
  UnprocessableEntityException,
} from '@nestjs/common';
import { IsInt, IsString } from 'class-validator';
import { EMPTY, EmptyError, map, type Observable, of } from 'rxjs';
import { currentTask, TaskContext } from '../../task/task-context.js';
import { Arg, Ctx } from '../decorators/param.decorators.js';
import { Retry } from '../decorators/retry.decorator.js';
import { Task } from '../decorators/task.decorator.js';

/** What the classes below have done, in order. Specs clear it before each test. */
export const lines: string[] = [];

@Injectable()
export class Trace {
  add(line: string): void {
    lines.push(line);
  }
}

@Injectable()
export class TraceGuard implements CanActivate {
  constructor(private readonly trace: Trace) {}
  canActivate(context: ExecutionContext): boolean {
    const rpc = context.switchToRpc();
    const task = rpc.getContext<TaskContext>();
    this.trace.add(
      `guard ${context.getType<string>()} ${context.getClass().name}.${context.getHandler().name} ` +
        `${JSON.stringify(rpc.getData())} ${task === currentTask()}`,
    );
    return rpc.getData<unknown[]>()[0] !== 'blocked';
  }
}

@Injectable()
export class TraceInterceptor implements NestInterceptor {
  constructor(private readonly trace: Trace) {}
  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    this.trace.add('interceptor');
    return next.handle().pipe(map((value) => (typeof value === 'number' ? value * 2 : value)));
  }
}

@Injectable()
export class TracePipe implements PipeTransform {
  constructor(private readonly trace: Trace) {}
  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    this.trace.add(
      `pipe ${metadata.type} ${metadata.data} ${metadata.metatype?.name} ${JSON.stringify(value)}`,
    );
    return value;
  }
}

export class Domain extends Error {}

export class MailDto {
  @IsString()
  to!: string;
  @IsInt()
  copies!: number;
}

@Injectable()
export class MailTasks {
  @Task()
  double(count: number, task: TaskContext): number {
    lines.push(`handler ${count} ${task.id}`);
    return count;
  }

  @Task()
  send(dto: MailDto, task: TaskContext): object {
    return { dto: dto instanceof MailDto, copies: dto.copies, attempt: task.attempt };
  }

  @Task()
  many(first: string, mails: MailDto[], last = 'default'): unknown[] {
    return [first, mails.length, last];
  }

  @Task()
  parse(@Arg(ParseIntPipe) first: number, @Arg() second: number, @Ctx() task: TaskContext): unknown[] {
    return [first, second, task instanceof TaskContext];
  }

  @Task()
  contextFirst(task: TaskContext, value: string): unknown[] {
    return [task instanceof TaskContext, value];
  }

  @Task()
  rest(first: string, ...others: string[]): unknown[] {
    return [first, ...others];
  }

  @Task()
  restWithContext(@Ctx() task: TaskContext, ...others: string[]): unknown[] {
    return [task instanceof TaskContext, ...others];
  }

  @Task()
  nothing(): number {
    return arguments.length;
  }

  @Task()
  current(): string {
    return currentTask().id;
  }

  @Task()
  fail(message: string): never {
    throw new Domain(message);
  }

  @Task()
  retry(task: TaskContext): never {
    return task.retry({ countdown: 5 });
  }

  @Task()
  refuse(kind: string): never {
    if (kind === '422') throw new UnprocessableEntityException({ message: { to: ['is missing'] } });
    throw new BadRequestException(kind);
  }

  @Task()
  observable(kind: string): Observable<number> {
    return kind === 'empty' ? EMPTY : of(1, 2);
  }

  @Task()
  emptyError(): never {
    throw new EmptyError();
  }
}
export const providers = [Trace, MailTasks];

@Injectable()
export class ContractTasks {
  @Retry({ for: ['TimeoutError'], maxRetries: 5 })
  @Task({ softTimeLimit: '30s', timeLimit: '45s', priority: 3 })
  @Retry({ maxRetries: 1 })
  async process(contract: string, _task: TaskContext): Promise<string> {
    return contract;
  }
  @Task({ queue: 'reports', name: 'report', ignoreResult: true })
  build(): void {}
  helper(): void {}
}
