import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { read, root } from './workspace.js';

/** The instructions, with continued lines joined and comments left out. */
const instructions = read('Dockerfile')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line.trim() !== '' && !line.startsWith('#'))
  .map((line) => {
    const [name = '', ...rest] = line.split(' ');
    return { name, rest: rest.join(' ') };
  });

/** The rests of all instructions of a name. */
function all(name: string): string[] {
  return instructions.filter((instruction) => instruction.name === name).map(({ rest }) => rest);
}

const copies = all('COPY').map((rest) => rest.split(' '));
const fromContext = copies
  .filter(([first]) => !first?.startsWith('--from='))
  .flatMap((words) => words.slice(0, -1));

describe('Dockerfile', () => {
  it('copies files that exist and that the context holds', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    expect(fromContext.length).toBeGreaterThan(0);
    expect(fromContext.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(fromContext.filter((path) => !allowed.includes(path.replace(/^\.\//, '')))).toEqual([]);
  });

  it('copies everything that the build reads', () => {
    const copied = fromContext.map((path) => path.replace(/^\.\//, ''));
    const inputs = [
      ...read('tools/build.mjs').matchAll(/'((?:src|libs|tsconfig|nest-cli|package)[\w./-]*)'/g),
    ];
    expect(inputs.length).toBeGreaterThan(5);
    const missing = inputs
      .map(([, path = '']) => path)
      .filter((path) => !copied.some((top) => path.startsWith(top)));
    expect(missing).toEqual([]);
  });

  it('starts a file that the build makes of a source', () => {
    const [command] = all('CMD').map((rest) => JSON.parse(rest) as string[]);
    expect(command?.[0]).toBe('node');
    const source = command?.[1]?.replace(/^dist\//, '').replace(/\.js$/, '.ts') ?? '';
    expect(existsSync(join(root, source))).toBe(true);
    expect(copies).toContainEqual(['--from=build', '/app/dist', './dist']);
  });

  it('runs on the Node.js that the package asks for, as an ordinary user', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    expect(engines.node).toMatch(/^>=20\./);
    const images = all('FROM').filter((rest) => rest.includes(':'));
    expect(images.length).toBeGreaterThan(1);
    expect(images.filter((image) => !image.startsWith('node:20-slim '))).toEqual([]);
    expect(all('USER')).toEqual(['node']);
  });

  it('leaves tools for developing behind', () => {
    expect(all('RUN').join('\n')).toMatch(/npm ci\b[\s\S]*npm prune --omit=dev/);
  });

  it('asks the application whether it is well, in the role that answers HTTP', () => {
    const last = instructions.map(({ name }) => name).lastIndexOf('FROM');
    const [api, ...rest] = instructions.slice(last);
    expect(api?.rest).toBe('runtime AS api');
    expect(rest.find(({ name }) => name === 'HEALTHCHECK')?.rest).toContain('/health');
    expect(rest.find(({ name }) => name === 'ENV')?.rest).toBe('ROLE=producer PORT=3000');
    expect(rest.find(({ name }) => name === 'EXPOSE')?.rest).toBe('3000');
  });
});
