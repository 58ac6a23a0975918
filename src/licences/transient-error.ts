/** Refusals of the operating system that pass by themselves and say nothing about the file concerned. */
const TRANSIENT_CODES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EBUSY', 'EAGAIN', 'ETIMEDOUT']);

/** The code of a file system error that is worth another try; undefined for every other error. */
export function transientCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && TRANSIENT_CODES.has(code) ? code : undefined;
}
