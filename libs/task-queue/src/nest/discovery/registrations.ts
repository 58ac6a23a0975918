import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { TaskQueueEngine } from '../../engine/task-queue-engine.js';
import { InvalidOptionsError, InvalidTaskError } from '../../errors/configuration.errors.js';
import { didYouMean } from '../../options/did-you-mean.js';
import { DEFAULT_CONNECTION } from '../../options/resolve-options.js';

/** Finds every `forRoot` of an application. */
@Injectable()
export class Registrations {
  constructor(private readonly discovery: DiscoveryService) {}

  /**
   * The engines, by the names of their registrations. To be called when all modules are there: in `onModuleInit` or
   * later.
   *
   * @throws InvalidOptionsError when two registrations have the same name
   */
  explore(): ReadonlyMap<string, TaskQueueEngine> {
    const found = new Map<string, TaskQueueEngine>();
    for (const { instance } of this.discovery.getProviders()) {
      if (!(instance instanceof TaskQueueEngine)) continue;
      const { name } = instance.options;
      const other = found.get(name);
      if (other !== undefined && other !== instance) {
        throw new InvalidOptionsError(
          'name',
          'a name of its own for every TaskQueueModule.forRoot of an application, of which one may go without',
          name === DEFAULT_CONNECTION ? 'two without a name' : `two of the name "${name}"`,
        );
      }
      found.set(name, instance);
    }
    return found;
  }

  /**
   * The engine of the registration with this name; without a name as `chooseRegistration` says.
   *
   * @throws InvalidOptionsError when it cannot be told which that is
   */
  choose(connection: string | undefined): TaskQueueEngine {
    const engines = this.explore();
    const choice = chooseRegistration(connection, [...engines.keys()]);
    const engine = 'name' in choice ? engines.get(choice.name) : undefined;
    if (engine !== undefined) return engine;
    throw new InvalidOptionsError(
      'connection',
      `the name of a TaskQueueModule.forRoot of this application: ${listed([...engines.keys()]) || 'there is none'}` +
        didYouMean(connection ?? '', engines.keys()),
      connection,
    );
  }
}

/** Which registration something belongs to, or why that cannot be told. */
export type Choice = { readonly name: string } | { readonly problem: string };

/**
 * The registration of this name. Where none is named: the one that has no name itself, or else the only one.
 *
 * @param names those that the application has
 */
export function chooseRegistration(named: string | undefined, names: readonly string[]): Choice {
  if (named !== undefined && names.includes(named)) return { name: named };
  if (named !== undefined) {
    return {
      problem: `there is no TaskQueueModule.forRoot of the name "${named}"${didYouMean(named, names)}, only ${listed(names)}`,
    };
  }
  if (names.includes(DEFAULT_CONNECTION)) return { name: DEFAULT_CONNECTION };
  const [only, ...others] = names;
  if (only !== undefined && others.length === 0) return { name: only };
  return { problem: `it names no connection, and there are ${listed(names)}` };
}

/**
 * The registration to which a task belongs.
 *
 * @param named what the task says
 * @throws InvalidTaskError when that cannot be told
 */
export function connectionOf(source: string, named: string | undefined, names: readonly string[]): string {
  const choice = chooseRegistration(named, names);
  if ('name' in choice) return choice.name;
  throw new InvalidTaskError(
    `${source}: ${choice.problem}. Say with @Task({ connection: '…' }), or for all tasks of its class with ` +
      `@Tasks({ connection: '…' }), to which registration it belongs.`,
  );
}

function listed(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(', ');
}
