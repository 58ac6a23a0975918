import { Injectable } from '@nestjs/common';
import { Breaker } from '../decorators/breaker.decorator.js';
import { Task } from '../decorators/task.decorator.js';
import { startApp } from './app.fixture.js';

describe('@Breaker', () => {
  it('is a part of its task, which a subclass inherits', async () => {
    @Injectable()
    class Tasks {
      @Task()
      @Breaker('api', { threshold: 2 })
      run(): void {}
      @Task()
      free(): void {}
    }
    @Injectable()
    class Sub extends Tasks {}
    const { registry, app } = await startApp({ providers: [Tasks, Sub] });
    expect(registry.get('Tasks.run')?.breaker).toMatchObject({ name: 'api', rule: { threshold: 2 } });
    expect(registry.get('Sub.run')?.breaker).toMatchObject({ name: 'api' });
    expect(registry.get('Tasks.free')).not.toHaveProperty('breaker');
    await app.close();
  });

  it('has the same numbers in all tasks that name it; errors may differ', async () => {
    @Injectable()
    class Tasks {
      @Task()
      @Breaker('api', { for: [TypeError] })
      one(): void {}
      @Task()
      @Breaker('api', { for: [RangeError] })
      other(): void {}
    }
    @Injectable()
    class Third {
      @Task()
      @Breaker('api', { threshold: 6 })
      third(): void {}
    }
    await (await startApp({ providers: [Tasks] })).app.close();
    await expect(startApp({ providers: [Tasks, Third] })).rejects.toThrow(
      /Tasks\.one and Third\.third name the breaker "api" and give it different numbers/,
    );
  });

  it('stands on a task', async () => {
    @Injectable()
    class Tasks {
      @Breaker('api')
      run(): void {}
    }
    await expect(startApp({ providers: [Tasks] })).rejects.toThrow('Tasks.run has @Breaker, but no @Task.');
  });

  it.each([
    ['api', { treshold: 1 }, 'did you mean'],
    ['api', { threshold: 0 }, 'expected threshold to be a whole number'],
    ['', {}, 'expected a name'],
  ])('refuses what cannot be read when the class is loaded: %j %j', (name, options, message) => {
    const declare = () => {
      class Tasks {
        @Breaker(name, options as object)
        run(): void {}
      }
      return Tasks;
    };
    expect(declare).toThrow(/^@Breaker of Tasks\.run: /);
    expect(declare).toThrow(message);
  });
});
