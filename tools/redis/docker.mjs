// @ts-check
/**
 * A server in a container, where a Docker engine runs.
 */
import { findExecutable, runCommand } from './command.mjs';

const image = 'redis:7-alpine';

/**
 * Looks for a running Docker engine and makes sure that it has the image.
 * @param {(message: string) => void} report
 * @returns {Promise<import('./server-binary.mjs').Finding>}
 */
export async function findDocker(report) {
  const binary = findExecutable('docker');
  if (!binary) return { reason: 'docker is not on PATH' };
  const engine = await runCommand(binary, ['info', '--format', '{{.ServerVersion}}'], { timeoutMs: 10_000 });
  if (!engine.ok) return { reason: `the engine does not answer: ${engine.failure}` };
  const present = await runCommand(binary, ['image', 'inspect', image], { timeoutMs: 10_000 });
  if (!present.ok) {
    report(`pulling the image ${image}`);
    const pulled = await runCommand(binary, ['pull', '--quiet', image], { timeoutMs: 300_000 });
    if (!pulled.ok) return { reason: `the image ${image} cannot be pulled: ${pulled.failure}` };
  }
  return { server: { source: 'docker', binary, env: {}, version: '7.0.0', image } };
}

/**
 * The arguments of `docker` that run a server in a container of the given name, reachable from this host only.
 * @param {{ image: string, name: string, port: number, dir?: string, settings: readonly string[] }} container
 * @returns {string[]}
 */
export function dockerRunArguments({ image: imageName, name, port, dir, settings }) {
  const owner = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  const volume = dir === undefined ? [] : ['--user', owner, '-v', `${dir}:/data`];
  const publish = ['-p', `127.0.0.1:${port}:6379`];
  return ['run', '--rm', '--name', name, ...publish, ...volume, imageName, 'redis-server', ...settings];
}
