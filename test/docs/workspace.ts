import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The folder of the workspace. */
export const root = resolve(__dirname, '../..');

/** The text of a file of the workspace. */
export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Where nothing of ours lies. */
const FOREIGN = new Set(['node_modules', 'dist', '.git', '.cache', 'coverage', 'reports']);

/** All files of the workspace whose name ends so, as paths from its root. */
export function filesEndingIn(ending: string, folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return FOREIGN.has(entry.name) ? [] : filesEndingIn(ending, path);
    return entry.isFile() && entry.name.endsWith(ending) ? [path] : [];
  });
}

/** One fenced block of a Markdown file. */
export interface FencedBlock {
  readonly file: string;
  /** Line of its first line of content, from 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

/** The fenced blocks of a Markdown file; the fence may be indented, as in lists. */
export function fencedBlocks(file: string): FencedBlock[] {
  const blocks: FencedBlock[] = [];
  let open: { fence: string; language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of read(file).split('\n').entries()) {
    const fence = /^\s*(`{3,}|~{3,})\s*(\S*)/.exec(line);
    if (open === undefined) {
      if (fence) open = { fence: fence[1] ?? '', language: fence[2] ?? '', line: index + 2, lines: [] };
    } else if (fence && fence[2] === '' && (fence[1] ?? '').startsWith(open.fence)) {
      const { language, line: first, lines } = open;
      blocks.push({ file, line: first, language, text: lines.join('\n') });
      open = undefined;
    } else {
      open.lines.push(line);
    }
  }
  return blocks;
}

/** A Markdown file without its fenced blocks. */
export function proseOf(file: string): string {
  return read(file).replace(/^[ \t]*(`{3,}|~{3,})[^\n]*\n[\s\S]*?^[ \t]*\1[ \t]*$/gm, '');
}

/** How a program ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a JavaScript program with this Node, in the workspace or another folder. */
export function runNode(args: readonly string[], cwd = root, env = process.env): Promise<Ended> {
  return new Promise((done) => {
    const options = { cwd, env, maxBuffer: 64 * 1024 * 1024, timeout: 120_000 };
    execFile(process.execPath, [...args], options, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

/** TypeScript 7, the native compiler. */
export const nativeCompiler = join(root, 'node_modules/@typescript/native/bin/tsc');
