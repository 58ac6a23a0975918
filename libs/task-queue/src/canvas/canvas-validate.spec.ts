import { InvalidCanvasError, InvalidIdError, UnserializableArgumentError } from '../errors/publish.errors.js';
import type { CanvasData } from './canvas-data.js';
import { validateCanvas } from './canvas-validate.js';
import { visitCanvas } from './canvas-walk.js';
import { makeChain } from './chain.js';
import { makeChord } from './chord.js';
import { makeGroup } from './group.js';
import { makeSignature } from './signature.js';

const ok = makeSignature('f', [1, 'x', null, { a: [true], b: undefined }]);
const task = (part: object): object => ({ kind: 'task', task: 'f', args: [], ...part });

describe('validateCanvas', () => {
  it('accepts every kind, nested, also empty groups and headers', () => {
    const canvas = makeChain([
      makeChord(
        [makeGroup([]), makeChain([makeSignature('f')])],
        makeGroup([makeSignature('g', [{ a: 1 }])]),
      ),
      makeChord([], makeSignature('h')),
    ]);
    expect(() => validateCanvas(canvas)).not.toThrow();
    expect(() => validateCanvas(JSON.parse(JSON.stringify(canvas)))).not.toThrow();
  });

  it.each<[unknown, string]>([
    [undefined, 'Canvas at root: expected a node of a canvas, got undefined'],
    [[], 'Canvas at root: expected a node of a canvas, got an array'],
    [{ kind: 'map' }, 'Canvas at root: unknown kind "map"; known are task, chain, group, chord'],
    [{ kind: 'chain', steps: [] }, 'Canvas at root: a chain needs at least one step'],
    [{ kind: 'chain' }, 'Canvas at root: steps has to be an array, got undefined'],
    [{ kind: 'group', members: {} }, 'Canvas at root: members has to be an array, got object'],
    [{ kind: 'group', members: [null] }, 'Canvas at members[0]: expected a node of a canvas, got null'],
    [
      { kind: 'group', members: new Array(1) },
      'Canvas at members[0]: expected a node of a canvas, got undefined',
    ],
    [{ kind: 'chord', header: [] }, 'Canvas at root: a chord needs a body'],
    [{ kind: 'chord', body: task({}) }, 'Canvas at root: header has to be an array'],
    [{ kind: 'chord', header: [], body: task({}), recovery: 7 }, 'recovery has to be the name of a strategy'],
    [{ kind: 'task', args: [] }, 'Canvas at root: a task needs a name'],
    [{ kind: 'task', task: 'f' }, 'Canvas at root: args has to be an array'],
    [task({ immutable: 1 }), 'Canvas at root: immutable has to be true or false, got number'],
    [task({ taskQueue: '' }), 'Canvas at root: taskQueue has to be the name of a queue'],
    [task({ links: task({}) }), 'Canvas at root: links has to be an array'],
    [task({ errbacks: [{ kind: 'chain', steps: [] }] }), 'Canvas at errbacks[0]: a chain needs'],
    [task({ options: 7 }), 'Canvas at options: expected an object, got number'],
    [
      task({ options: { countdownMs: -1 } }),
      'options.countdownMs: expected milliseconds of 0 or more, got -1',
    ],
    [task({ options: { countdown: '5s' } }), 'Canvas at options.countdown: unknown option'],
    [
      task({ options: { softTimeLimitMs: 2, timeLimitMs: 1 } }),
      'options.softTimeLimit: it has to be shorter',
    ],
    [
      { kind: 'chord', header: [ok, { kind: 'chain', steps: [ok, { kind: 'chain', steps: [] }] }], body: ok },
      'Canvas at header[1].steps[1]: a chain needs at least one step',
    ],
    [
      { kind: 'chord', header: [], body: { kind: 'group', members: [task({ options: { priority: -1 } })] } },
      'Canvas at body.members[0].options.priority: expected a whole number',
    ],
    [
      { kind: 'group', members: [ok, task({ options: { taskId: 'a' } })], options: { taskId: 'g' } },
      'Canvas at members[1].options.taskId: an id of your own belongs to a canvas as a whole',
    ],
  ])('refuses %j', (data, message) => {
    expect(() => validateCanvas(data)).toThrow(InvalidCanvasError);
    expect(() => validateCanvas(data)).toThrow(message);
  });

  it('refuses an id that the queue reserves', () => {
    expect(() => validateCanvas(task({ options: { taskId: '123' } }))).toThrow(InvalidIdError);
  });

  it.each<[unknown, string, string]>([
    [10n, 'args[0]', 'a BigInt'],
    [{ items: [{ price: Number.NaN }] }, 'args[0].items[0].price', 'NaN'],
    [new Date(), 'args[0]', 'a Date; send value.toISOString()'],
    [() => 1, 'args[0]', 'the function'],
    [[undefined], 'args[0][0]', 'undefined; send null'],
  ])('names the task and the path of an argument that JSON cannot carry', (arg, path, found) => {
    expect(() => validateCanvas(makeSignature('ship', [arg]))).toThrow(
      expect.objectContaining({ taskName: 'ship', path, message: expect.stringContaining(found) as string }),
    );
    expect(() => validateCanvas(makeGroup([ok, makeSignature('ship', [1, arg])]))).toThrow(
      expect.objectContaining({ path: `members[1].${path.replace('[0]', '[1]')}` }),
    );
    expect(() => validateCanvas(makeSignature('ship', [arg]))).toThrow(UnserializableArgumentError);
  });

  it('refuses cycles and bottomless nesting instead of running out of stack', () => {
    const cycle = { kind: 'group', members: [] as unknown[] };
    cycle.members.push(cycle, cycle);
    expect(() => validateCanvas(cycle)).toThrow('it is nested deeper than 512 levels');
    let deep: CanvasData = ok;
    for (let level = 0; level < 512; level++) deep = makeGroup([deep]);
    expect(() => validateCanvas(deep)).not.toThrow();
    expect(() => validateCanvas(makeGroup([deep]))).toThrow('nested deeper');
  });

  it('takes time in proportion to the number of members', () => {
    const ofSize = (size: number): CanvasData =>
      makeChord(
        Array.from({ length: size }, (_, id) => makeSignature('f', [{ id, tags: ['a', 'b'] }])),
        makeSignature('sum'),
      );
    const bestOf = (chord: CanvasData): number => {
      const times = Array.from({ length: 5 }, () => {
        const start = performance.now();
        validateCanvas(chord);
        return performance.now() - start;
      });
      return Math.min(...times);
    };
    // Ten times as many: a hundred times as long, if each were compared with each.
    expect(bestOf(ofSize(50_000))).toBeLessThan(40 * bestOf(ofSize(5_000)));
  });
});

describe('visitCanvas', () => {
  it('visits parents first, in definition order, with the path of each node', () => {
    const paths: string[] = [];
    const chord = makeChord([ok, makeChain([ok, ok])], makeGroup([ok]));
    visitCanvas({ ...chord, links: [ok], errbacks: [ok] }, (_, path) => paths.push(path.toString()));
    expect(paths).toEqual([
      'root',
      'header[0]',
      'header[1]',
      'header[1].steps[0]',
      'header[1].steps[1]',
      'body',
      'body.members[0]',
      'links[0]',
      'errbacks[0]',
    ]);
  });
});
