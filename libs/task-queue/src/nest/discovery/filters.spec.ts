import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  Injectable,
  Logger,
  UseFilters,
} from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { of, throwError } from 'rxjs';
import { RetryTask } from '../../errors/control-flow.js';
import { InvalidArgumentsError } from '../../errors/task.errors.js';
import { Domain, lines, MailTasks, providers } from './tasks.fixture.js';
import { rejectionOf, type SpecApp, startApp } from './app.fixture.js';
import { TASK_CONTEXT_TYPE } from './task-request.js';

let spec: SpecApp | undefined;
beforeEach(() => {
  lines.length = 0;
});
afterEach(() => spec?.app.close());
const start = async (...args: Parameters<typeof startApp>): Promise<SpecApp> =>
  (spec = await startApp(...args));

@Catch(Domain)
class DomainFilter implements ExceptionFilter {
  catch(error: Domain, host: ArgumentsHost): unknown {
    lines.push(`filter ${host.getType<string>()} ${JSON.stringify(host.switchToRpc().getData())}`);
    switch (error.message) {
      case 'swallow':
        return { handled: true };
      case 'observable':
        return of('seen');
      case 'observable-throw':
        return throwError(() => new Error('from the observable'));
      case 'later':
        return Promise.resolve(undefined);
      case 'pass':
        return undefined;
      default:
        throw new Error(`mapped ${error.message}`);
    }
  }
}

@Catch()
class CatchAll implements ExceptionFilter {
  catch(error: unknown): unknown {
    lines.push(`caught ${(error as Error).name}`);
    return undefined;
  }
}

describe('filters', () => {
  const withFilter = { providers: [...providers, { provide: APP_FILTER, useClass: DomainFilter }] };

  it.each([
    ['swallow', { handled: true }],
    ['observable', 'seen'],
  ])('make the task succeed with the value they give (%s)', async (message, value) => {
    const { run } = await start(withFilter);
    await expect(run('MailTasks.fail', message)).resolves.toEqual(value);
    expect(lines).toEqual([`filter ${TASK_CONTEXT_TYPE} ["${message}"]`]);
  });

  it.each([
    ['pass', 'pass'],
    ['later', 'later'],
    ['x', 'mapped x'],
    ['observable-throw', 'from the observable'],
  ])('fail the task otherwise (%s)', async (message, expected) => {
    const { run } = await start(withFilter);
    await expect(run('MailTasks.fail', message)).rejects.toThrow(expected);
  });

  it('that throw leave what they caught as the cause, unless they name another one', async () => {
    const own = new Error('its own');
    const seen: unknown[] = [];
    @Catch()
    class Throwing implements ExceptionFilter {
      catch(error: Error, host: ArgumentsHost): unknown {
        seen.push(error);
        switch (error.message) {
          case 'http':
            return (host.switchToHttp().getResponse<{ status(code: number): object }>().status(500), 'sent');
          case 'own':
            throw new Error('wrapped', { cause: own });
          case 'plain':
            throw { status: 'error', message: 'Internal server error' };
          case 'text':
            throw 'a text';
          case 'unwrap':
            throw (error.cause = own);
          default:
            throw Object.freeze(new Error('frozen'));
        }
      }
    }
    const { run } = await start({ providers: [...providers, { provide: APP_FILTER, useClass: Throwing }] });
    const verdictOn = (message: string) => rejectionOf(run('MailTasks.fail', message)) as Promise<Error>;
    expect(await verdictOn('http')).toMatchObject({ name: 'TypeError', cause: { message: 'http' } });
    expect(seen[0]).toBeInstanceOf(Domain);
    expect((await verdictOn('own')).cause).toBe(own);
    const plain = await verdictOn('plain');
    expect(plain).toEqual({ status: 'error', message: 'Internal server error' });
    expect(plain.cause).toBe(seen.at(-1));
    expect(await verdictOn('text')).toBe('a text');
    expect(await verdictOn('unwrap')).toBe(own);
    expect(own.cause).toBeUndefined();
    expect((await verdictOn('x')).message).toBe('frozen');
  });

  it('stand on a class or a method too, and see a refusal before it is turned', async () => {
    @Injectable()
    @UseFilters(CatchAll)
    class Tasks extends MailTasks {}
    const { run } = await start({ providers: [Tasks] });
    await expect(run('Tasks.refuse', 'x')).rejects.toBeInstanceOf(InvalidArgumentsError);
    expect(lines).toEqual(['caught BadRequestException']);
  });

  it('do not see a throw that steers the task, and nothing is logged on the way', async () => {
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const { run } = await start({ providers: [...providers, { provide: APP_FILTER, useClass: CatchAll }] });
    await expect(run('MailTasks.retry')).rejects.toBeInstanceOf(RetryTask);
    expect(lines).toEqual([]);
    await expect(run('MailTasks.fail', 'x')).rejects.toBeInstanceOf(Domain);
    expect(lines).toEqual(['caught Error']);
    expect(error).not.toHaveBeenCalled();
    error.mockRestore();
  });
});
