import type { WriteStream } from 'node:tty';
import type { AuditView } from '../audits/audit-view.js';

const BAR_WIDTH = 32;
const LINE_EVERY_MS = 2_000;

/** Shows how far the audit is: a bar on a terminal, a line now and then elsewhere. */
export class Progress {
  readonly #startedAt = performance.now();
  #lastLineAt = Number.NEGATIVE_INFINITY;
  #lastProgress: number | undefined;
  #barIsThere = false;

  constructor(private readonly out: NodeJS.WriteStream | WriteStream) {}

  show(view: AuditView): void {
    const text = describe(view, (performance.now() - this.#startedAt) / 1000);
    if (this.out.isTTY) {
      this.out.write(`\r\u001b[K${bar(view.progress ?? 0)} ${text}`.slice(0, this.out.columns + 4));
      this.#barIsThere = true;
      return;
    }
    const isEnd = view.progress === 1 && this.#lastProgress !== 1;
    const isDue = performance.now() - this.#lastLineAt >= LINE_EVERY_MS && this.#lastProgress !== 1;
    if (!isEnd && !isDue) return;
    this.#lastLineAt = performance.now();
    this.#lastProgress = view.progress;
    this.out.write(`  ${text}\n`);
  }

  /** Writes a line of its own; a bar goes on below it. */
  say(line: string): void {
    this.end();
    this.out.write(`${line}\n`);
  }

  /** Leaves the bar as it is. */
  end(): void {
    if (this.#barIsThere) this.out.write('\n');
    this.#barIsThere = false;
  }
}

function bar(progress: number): string {
  const filled = Math.floor(progress * BAR_WIDTH);
  return `  ${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
}

function describe({ counts, progress = 0 }: AuditView, seconds: number): string {
  if (counts === undefined) return 'waiting for the first worker';
  const done = counts.size - counts.pending;
  return [
    `${String(done).padStart(String(counts.size).length)} of ${counts.size}`,
    `${String(Math.floor(progress * 100)).padStart(3)} %`,
    `${counts.failed} failed`,
    `${Math.round(done / Math.max(seconds, 0.001))}/s`,
  ].join('   ');
}
