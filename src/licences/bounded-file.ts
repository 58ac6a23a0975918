import { open } from 'node:fs/promises';

/** The beginning of a file. */
export interface BoundedText {
  readonly text: string;
  /** Size of the whole file. */
  readonly bytes: number;
  readonly truncated: boolean;
}

/** Reads at most `limit` bytes of a text file, whatever its size: files of packages are not to be trusted. */
export async function readBounded(path: string, limit: number, signal?: AbortSignal): Promise<BoundedText> {
  signal?.throwIfAborted();
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, limit));
    let filled = 0;
    while (filled < buffer.length) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return { text: decode(buffer.subarray(0, filled)), bytes: size, truncated: size > limit };
  } finally {
    await file.close();
  }
}

/** UTF-16 with a byte order mark, as some editors on Windows write it, else UTF-8. */
function decode(bytes: Buffer): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : 'utf-8';
  return new TextDecoder(encoding).decode(bytes);
}
