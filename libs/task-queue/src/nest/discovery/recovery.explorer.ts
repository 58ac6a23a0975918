import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { BUILT_IN_RECOVERIES, recoveryName } from '../../chords/built-in-recoveries.js';
import { ChordRecovery, type ChordRecoveryType } from '../../chords/chord-recovery.js';
import { InvalidOptionsError } from '../../errors/configuration.errors.js';
import { classOf, TaskProvider } from './task-provider.js';

/** Finds the chord recovery strategies among all providers of all modules. */
@Injectable()
export class RecoveryExplorer {
  constructor(private readonly discovery: DiscoveryService) {}

  /**
   * The strategies of this application, built-in ones included, by the name under which canvases carry them.
   *
   * @throws InvalidOptionsError when two strategies have the same name, or one has none or is request-scoped
   */
  explore(): ReadonlyMap<string, ChordRecovery> {
    const found = new Map<string, { recovery: ChordRecovery; module: string }>();
    const seen = new Set<unknown>();
    for (const wrapper of this.discovery.getProviders()) {
      const type = classOf(wrapper);
      if (type === undefined || !(type.prototype instanceof ChordRecovery)) continue;
      const provider = new TaskProvider(wrapper, type);
      const name = recoveryName(type as ChordRecoveryType);
      const path = `chord recovery ${name || '(unnamed)'}`;
      if (name === '')
        throw new InvalidOptionsError(path, 'a class with a name', `one in ${provider.module}`);
      if (provider.scoped) {
        throw new InvalidOptionsError(path, 'a strategy without request scope', `one in ${provider.module}`);
      }
      if (seen.has(provider.instance)) continue;
      seen.add(provider.instance);
      const other = found.get(name)?.module ?? builtInUnlessSame(name, type);
      if (other !== undefined) {
        throw new InvalidOptionsError(
          path,
          'one provider of this name, which is all that a canvas says',
          `one in ${other} and one in ${provider.module}`,
        );
      }
      found.set(name, { recovery: provider.instance as unknown as ChordRecovery, module: provider.module });
    }
    return new Map([
      ...BUILT_IN_RECOVERIES,
      ...[...found].map(([name, { recovery }]) => [name, recovery] as const),
    ]);
  }
}

/** Providing a built-in strategy is needless, but no harm; a class of the same name would take its place. */
function builtInUnlessSame(name: string, type: unknown): string | undefined {
  const builtIn = BUILT_IN_RECOVERIES.get(name);
  return builtIn === undefined || builtIn.constructor === type ? undefined : 'the library';
}
