/**
 * How long a rate-limited service asked us to wait, in milliseconds.
 *
 * Understood: `error.retryAfter` (seconds, or a Date, or an HTTP date), and the `Retry-After` header of
 * `error.response.headers` or `error.headers`, whether those are a plain object, a Map or a Headers.
 */
export function retryAfterMs(error: unknown, nowMs: number): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const carrier = error as {
    retryAfter?: unknown;
    headers?: unknown;
    response?: { headers?: unknown } | null;
  };
  return (
    readValue(carrier.retryAfter, nowMs) ??
    readValue(readHeader(carrier.response?.headers), nowMs) ??
    readValue(readHeader(carrier.headers), nowMs)
  );
}

function readHeader(headers: unknown): unknown {
  if (typeof headers !== 'object' || headers === null) return undefined;
  const get = (headers as { get?: unknown }).get;
  if (typeof get === 'function') {
    const read = get as (this: unknown, name: string) => unknown;
    return read.call(headers, 'retry-after') ?? read.call(headers, 'Retry-After');
  }
  const entry = Object.entries(headers).find(([name]) => name.toLowerCase() === 'retry-after');
  return Array.isArray(entry?.[1]) ? (entry[1] as unknown[])[0] : entry?.[1];
}

function readValue(value: unknown, nowMs: number): number | undefined {
  if (value instanceof Date) return untilMs(value.getTime(), nowMs);
  const seconds =
    typeof value === 'number'
      ? value
      : typeof value === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(value)
        ? Number(value)
        : undefined;
  if (seconds !== undefined)
    return Number.isFinite(seconds) && seconds >= 0 ? Math.round(seconds * 1000) : undefined;
  return typeof value === 'string' ? untilMs(Date.parse(value), nowMs) : undefined;
}

function untilMs(timeMs: number, nowMs: number): number | undefined {
  return Number.isNaN(timeMs) ? undefined : Math.max(0, timeMs - nowMs);
}
