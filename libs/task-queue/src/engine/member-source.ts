/** How long the first member of a chunk waits for others: it may start while a slow source is being read. */
const LINGER_MS = 20;

/** Reads members chunk by chunk from whatever gives them. */
export class MemberSource {
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>;
  readonly #isAsync: boolean;
  #members: unknown[] = [];
  #wanted = 0;
  #isPumping = false;
  #isOver = false;
  #trouble: { readonly error: unknown } | undefined;
  /** Tells the one who waits that there is something to look at. */
  #tell: () => void = () => undefined;

  constructor(source: Iterable<unknown> | AsyncIterable<unknown>) {
    this.#isAsync = Symbol.asyncIterator in source;
    this.#iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  }

  /**
   * The next members: as many as asked for, or those that came within a moment after the first.
   *
   * @returns an empty list when there are no more, or when the signal aborts before one came
   * @throws what the source threw, after everything that it gave before
   */
  async next(count: number, signal: AbortSignal): Promise<unknown[]> {
    this.#wanted = count;
    if (this.#isAsync) await this.#wait(signal);
    else this.#pull(this.#iterator as Iterator<unknown>);
    const members = this.#members;
    if (members.length === 0 && this.#trouble !== undefined) throw this.#trouble.error;
    this.#members = [];
    return members;
  }

  /** Lets the source clean up. Nobody waits for it: it may be waiting for something itself. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    void (async () => this.#iterator.return?.())().catch(() => undefined);
  }

  #pull(iterator: Iterator<unknown>): void {
    try {
      while (this.#members.length < this.#wanted && !this.#isOver) this.#take(iterator.next());
    } catch (error) {
      this.#end(error);
    }
  }

  /** Goes on by itself, as far as is wanted; whoever asked may be gone by the time the source answers. */
  async #pump(): Promise<void> {
    this.#isPumping = true;
    try {
      while (this.#members.length < this.#wanted && !this.#isOver) {
        this.#take(await this.#iterator.next());
        if (this.#members.length === 1) this.#tell();
      }
    } catch (error) {
      this.#end(error);
    }
    this.#isPumping = false;
    this.#tell();
  }

  #take(item: IteratorResult<unknown>): void {
    if (item.done === true) this.#isOver = true;
    else this.#members.push(item.value);
  }

  #end(error: unknown): void {
    this.#isOver = true;
    this.#trouble = { error };
  }

  /** Waits until there is enough, or the first has lingered, or the signal aborts. */
  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      let linger: NodeJS.Timeout | undefined;
      const end = (): void => {
        clearTimeout(linger);
        signal.removeEventListener('abort', end);
        this.#tell = () => undefined;
        // What the source gives from now on is for the next who asks.
        this.#wanted = 0;
        resolve();
      };
      this.#tell = () => {
        if (!this.#isPumping || signal.aborted) end();
        else if (this.#members.length > 0) linger ??= setTimeout(end, LINGER_MS);
      };
      signal.addEventListener('abort', end, { once: true });
      if (this.#isPumping) this.#tell();
      else void this.#pump();
      if (signal.aborted) end();
    });
  }
}
