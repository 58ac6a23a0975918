import { type Profiler, Session } from 'node:inspector/promises';

/** Where the processor time of a piece of work went. */
export interface Shares {
  readonly busyMs: number;
  /** Share of the busy time, by whose code it was. */
  readonly by: ReadonlyMap<string, number>;
  /** What of our own code took most. */
  readonly own: readonly { readonly name: string; readonly share: number }[];
}

const INTERVAL_MICROS = 200;
const OWN = 'nestjs-task-queue';
const PLACES: readonly (readonly [RegExp, string])[] = [
  [/\/libs\/task-queue\/|nestjs-task-queue/, OWN],
  [/\/node_modules\/bullmq\//, 'bullmq'],
  [/\/node_modules\/(ioredis|redis-parser|denque|@ioredis)\//, 'ioredis'],
  [/\/node_modules\/msgpackr/, 'msgpackr'],
  [/\/node_modules\/@?(nestjs|rxjs)/, 'Nest'],
  [/^node:/, 'Node itself'],
];

/** Samples this process from now on. */
export async function startProfile(): Promise<() => Promise<Shares>> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: INTERVAL_MICROS });
  await session.post('Profiler.start');
  return async () => {
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    return sharesOf(profile);
  };
}

function sharesOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Shares {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const by = new Map<string, number>();
  const own = new Map<string, number>();
  let busy = 0;
  samples.forEach((id, index) => {
    const frame = frames.get(id);
    const micros = timeDeltas[index] ?? 0;
    if (frame === undefined || frame.functionName === '(idle)') return;
    const place = placeOf(frame);
    busy += micros;
    by.set(place, (by.get(place) ?? 0) + micros);
    if (place !== OWN) return;
    const name = `${frame.functionName || 'anonymous'} (${frame.url.split('/').at(-1)})`;
    own.set(name, (own.get(name) ?? 0) + micros);
  });
  const share = ([name, micros]: readonly [string, number]) => ({ name, share: micros / busy });
  const sorted = (of: Map<string, number>) => [...of].map(share).sort((a, b) => b.share - a.share);
  return {
    busyMs: busy / 1_000,
    by: new Map(sorted(by).map(({ name, share: part }) => [name, part])),
    own: sorted(own).slice(0, 8),
  };
}

function placeOf({ url, functionName }: Profiler.Profile['nodes'][number]['callFrame']): string {
  if (functionName === '(garbage collector)') return 'garbage collection';
  // What V8 and libuv do: writing to sockets, parsing JSON, microtasks.
  if (url === '') return 'V8 and libuv';
  return PLACES.find(([pattern]) => pattern.test(url))?.[1] ?? 'the benchmark';
}
