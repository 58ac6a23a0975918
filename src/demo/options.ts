import { parseArgs } from 'node:util';

/** What the command line of the demo says. */
export interface DemoOptions {
  readonly killWorkers: boolean;
  readonly limit: number | undefined;
  readonly help: boolean;
}

export const USAGE = `Audits the licences of all packages that are installed in this project.

usage: npm run demo -- [--kill-workers] [--limit <packages>]

  --kill-workers   work in two processes, kill one of them in mid-run and replace it
  --limit          audit the first packages only

The Redis is that of REDIS_URL, or a private one that ends with the demo.
`;

/** @throws Error for what it does not know */
export function readOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'kill-workers': { type: 'boolean', default: false },
      limit: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const limit = values.limit === undefined ? undefined : Number(values.limit);
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new Error(`--limit takes a whole number above 0, not ${JSON.stringify(values.limit)}`);
  }
  return { killWorkers: values['kill-workers'], limit, help: values.help };
}
