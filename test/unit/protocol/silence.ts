/** A log that nobody reads. */
export const SILENCE = {
  log: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  debug: () => undefined,
};
