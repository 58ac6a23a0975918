/** Another seed tries other data. */
export const HOSTILE_SEED = Number(process.env['HOSTILE_SEED'] ?? 20_260_101);

const prototypes = [Object.prototype, Array.prototype, Function.prototype, Error.prototype, Map.prototype];

const keysOf = (): string[] =>
  prototypes.map((prototype) => Reflect.ownKeys(prototype).map(String).sort().join());

/** After each test of the block, what everything inherits from is what it was before. */
export function watchPrototypes(): void {
  let before: string[];
  beforeAll(() => void (before = keysOf()));
  afterEach(() => expect(keysOf()).toEqual(before));
}
