import { transientCode } from '../licences/transient-error.js';

/** The file system refused for a reason that passes: too many open files, a file in use, a disk that is late. */
export class FileSystemBusyError extends Error {
  override readonly name = 'FileSystemBusyError';
  readonly code = 'FILE_SYSTEM_BUSY';

  /** Puts an error that passes into this class, which a retry policy can name; others stay as they are. */
  static orOriginal(error: unknown): unknown {
    const code = transientCode(error);
    return code === undefined
      ? error
      : new FileSystemBusyError(`The file system is busy (${code}).`, { cause: error });
  }
}
