// @ts-check
/**
 * The places where a server is looked for, in order, and what to tell when none has one.
 */
import { findOrFetch } from './apt-fetch.mjs';
import { cacheFolder } from './cache-folder.mjs';
import { findDocker } from './docker.mjs';
import { findInHomebrew } from './homebrew.mjs';
import { findOnPath } from './server-binary.mjs';

/**
 * @typedef {{
 *   name: string,
 *   advice: () => string,
 *   look: (report: (message: string) => void) => Promise<import('./server-binary.mjs').Finding>,
 * }} Choice
 */

/** @type {readonly Choice[]} */
const choices = [
  {
    name: 'PATH',
    advice: () =>
      'install redis-server or valkey-server, e.g. `sudo apt-get install redis-server`, ' +
      '`sudo dnf install valkey`, `apk add redis`',
    look: findOnPath,
  },
  {
    name: 'apt',
    advice: () =>
      'on Debian and Ubuntu with network access a server is fetched by itself, without root, into ' +
      `${cacheFolder()} (TASK_QUEUE_REDIS_CACHE names another folder)`,
    look: findOrFetch,
  },
  { name: 'Homebrew', advice: () => '`brew install redis` or `brew install valkey`', look: findInHomebrew },
  {
    name: 'Docker',
    advice: () => 'start a Docker engine; redis:7-alpine then runs in a container, removed at the end',
    look: findDocker,
  },
];

/**
 * Looks in every place until one has a server that can be started.
 * @param {(message: string) => void} report
 * @param {boolean} isPrivate whether REDIS_URL would not do
 * @returns {Promise<import('./server-binary.mjs').RedisServer>}
 */
export async function findServer(report, isPrivate) {
  const reasons = [];
  for (const { look } of choices) {
    const finding = await look(report);
    if ('server' in finding) return finding.server;
    reasons.push(finding.reason);
  }
  throw new Error(explain(reasons, isPrivate));
}

/**
 * @param {readonly string[]} reasons
 * @param {boolean} isPrivate
 */
function explain(reasons, isPrivate) {
  const lines = choices.map(({ name, advice }, index) => {
    const reason = reasons[index]?.replace(/[.?!\s]+$/, '');
    return `  ${index + 2}. ${name}: ${advice()}.\n     Now: ${reason}.`;
  });
  return [
    'There is no Redis to use or to start. Any one of these helps:',
    '  1. REDIS_URL: name a Redis that runs already, e.g. REDIS_URL=redis://127.0.0.1:6379.',
    `     Now: ${isPrivate ? 'not used, because a server of its own was asked for' : 'not set'}.`,
    ...lines,
  ].join('\n');
}
