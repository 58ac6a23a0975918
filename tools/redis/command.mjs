// @ts-check
/**
 * Finding and running other programs: by absolute path, without a shell, always bounded in time.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * What became of a program that was run.
 * @typedef {{ ok: boolean, stdout: string, stderr: string, failure: string }} CommandOutcome
 */

/**
 * Finds an executable file on PATH, or undefined.
 * @param {string} name
 * @returns {string | undefined}
 */
export function findExecutable(name) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, name)).find(isExecutableFile);
}

/**
 * Runs a program to its end; it never throws: `ok` and `failure` tell what happened.
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ timeoutMs: number, cwd?: string, env?: NodeJS.ProcessEnv }} bounds
 * @returns {Promise<CommandOutcome>}
 */
export function runCommand(file, args, { timeoutMs, cwd, env }) {
  return new Promise((resolve) => {
    const options = {
      cwd,
      env: { ...process.env, ...env },
      timeout: timeoutMs,
      killSignal: /** @type {const} */ ('SIGKILL'),
      maxBuffer: 64 * 1024 * 1024,
    };
    execFile(file, args, options, (error, stdout, stderr) => {
      resolve({
        ok: error === null,
        stdout,
        stderr,
        failure: error ? describe(error, stderr, timeoutMs) : '',
      });
    });
  });
}

/**
 * @param {string} file
 */
function isExecutableFile(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * @param {import('node:child_process').ExecFileException} error
 * @param {string} stderr
 * @param {number} timeoutMs
 */
function describe(error, stderr, timeoutMs) {
  if (error.killed) return `no end within ${timeoutMs / 1000} s`;
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => line.startsWith('E: '));
  return (errors.length > 0 ? errors : lines).slice(-3).join(' ').trim() || error.message;
}
