import { Injectable, Module, Scope } from '@nestjs/common';
import { CallbackWithSuccesses, ErrbackOnly } from '../../chords/built-in-recoveries.js';
import { type ChordDecision, ChordRecovery } from '../../chords/chord-recovery.js';
import { RecoveryExplorer } from './recovery.explorer.js';
import { createApp } from './app.fixture.js';

@Injectable()
class HalfIsEnough extends ChordRecovery {
  recover(): ChordDecision {
    return { run: 'errback' };
  }
}

const explore = async (metadata: Parameters<typeof createApp>[0]) =>
  (await createApp(metadata)).get(RecoveryExplorer).explore();

describe('RecoveryExplorer', () => {
  it('gives the built-in strategies and those that are provided, by class name', async () => {
    const value = new CallbackWithSuccesses();
    const recoveries = await explore({
      providers: [
        HalfIsEnough,
        { provide: 'x', useValue: value },
        { provide: 'y', useExisting: HalfIsEnough },
      ],
    });
    expect([...recoveries.keys()]).toEqual([
      'ErrbackOnly',
      'CallbackWithSuccesses',
      'CallbackWithOutcomes',
      'HalfIsEnough',
    ]);
    expect(recoveries.get('HalfIsEnough')).toBeInstanceOf(HalfIsEnough);
    expect(recoveries.get('CallbackWithSuccesses')).toBe(value);
    expect(recoveries.get('ErrbackOnly')).toBeInstanceOf(ErrbackOnly);
  });

  it('refuses two of one name', async () => {
    @Module({ providers: [HalfIsEnough] })
    class AModule {}
    @Module({ providers: [HalfIsEnough] })
    class BModule {}
    await expect(explore({ imports: [AModule, BModule] })).rejects.toThrow(
      'Option chord recovery HalfIsEnough: expected one provider of this name, which is all that a canvas says, ' +
        'got "one in AModule and one in BModule".',
    );
  });

  it('refuses one that would take the place of a built-in one', async () => {
    const Own = { ErrbackOnly: class ErrbackOnly extends HalfIsEnough {} }.ErrbackOnly;
    await expect(explore({ providers: [Own] })).rejects.toThrow(
      'got "one in the library and one in RootTestModule"',
    );
  });

  it('refuses one that is request-scoped', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest extends HalfIsEnough {}
    await expect(explore({ providers: [PerRequest] })).rejects.toThrow(
      'expected a strategy without request scope, got "one in RootTestModule"',
    );
  });
});
