import { readOptions } from './options.js';

describe('readOptions', () => {
  it('reads what the demo knows', () => {
    expect(readOptions([])).toEqual({ killWorkers: false, limit: undefined, help: false });
    expect(readOptions(['--kill-workers', '--limit', '20'])).toMatchObject({ killWorkers: true, limit: 20 });
    expect(readOptions(['-h'])).toMatchObject({ help: true });
  });

  it.each([[['--limit', '0']], [['--limit', 'all']], [['--kill']], [['everything']]])(
    'refuses %j',
    (args) => {
      expect(() => readOptions(args)).toThrow(/--limit|Unknown option|Unexpected argument/);
    },
  );
});
