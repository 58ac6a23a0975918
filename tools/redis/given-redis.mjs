// @ts-check
/**
 * The Redis that the environment names: `REDIS_URL`, used as it is once it has answered.
 */
import { askRedis } from './ask-redis.mjs';

const answerWithinMs = 5_000;

/**
 * Checks that the Redis of a URL answers PING, and returns where it listens.
 * Errors name the URL without its credentials.
 * @param {string} url
 * @returns {Promise<{ url: string, host: string, port: number }>}
 */
export async function useGivenRedis(url) {
  const { address, shown } = parseRedisUrl(url);
  try {
    await askRedis(address, ['PING'], answerWithinMs);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `REDIS_URL names ${shown}, which cannot be used: ${reason}. ` +
        'Start that Redis, correct REDIS_URL, or unset it to have a private server started.',
    );
  }
  return { url, host: address.host, port: address.port };
}

/**
 * Reads a `redis:` or `rediss:` URL; `shown` is fit for messages.
 * @param {string} url
 */
function parseRedisUrl(url) {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const username = decode(parsed?.username);
  const password = decode(parsed?.password);
  const isRedis = parsed && /^rediss?:$/.test(parsed.protocol) && parsed.hostname !== '';
  if (!isRedis || username === undefined || password === undefined) {
    throw new Error('REDIS_URL must look like redis://host:port or rediss://user:password@host:port/0');
  }
  const { protocol, hostname, pathname } = parsed;
  const port = parsed.port === '' ? 6379 : Number(parsed.port);
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    address: { host, port, tls: protocol === 'rediss:', username, password },
    shown: `${protocol}//${username || password ? '***@' : ''}${hostname}:${port}${pathname}`,
  };
}

/**
 * @param {string | undefined} text
 */
function decode(text) {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
