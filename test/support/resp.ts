/** Just enough of the protocol of Redis to tell one command from the next, and one answer from the next. */

/** A command as a client sends it: an array of bulk strings. */
export interface Command {
  /** In upper case. */
  readonly name: string;
  readonly args: readonly Buffer[];
  /** The whole of it, as it was sent. */
  readonly bytes: Buffer;
}

/** Cuts a stream of requests into commands. */
export class CommandSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Command[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const commands: Command[] = [];
    for (let next = readCommand(this.#rest); next !== undefined; next = readCommand(this.#rest)) {
      commands.push(next);
      this.#rest = this.#rest.subarray(next.bytes.length);
    }
    return commands;
  }
}

/** An answer of Redis. */
export interface Answer {
  /** Whether nobody has asked for it: a push of RESP3. */
  readonly isPush: boolean;
  readonly bytes: Buffer;
}

/** Cuts a stream of answers, of RESP2 or RESP3. */
export class AnswerSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Answer[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const answers: Answer[] = [];
    let at = 0;
    for (let end = endOfAnswer(this.#rest, at); end !== undefined; end = endOfAnswer(this.#rest, at)) {
      answers.push({ isPush: this.#rest[at] === PUSH, bytes: this.#rest.subarray(at, end) });
      at = end;
    }
    this.#rest = this.#rest.subarray(at);
    return answers;
  }
}

const PUSH = '>'.charCodeAt(0);

/** The command at the beginning, if it is there in full. */
function readCommand(buffer: Buffer): Command | undefined {
  const head = readNumber(buffer, 0);
  if (head === undefined) return undefined;
  let at = head.end;
  const parts: Buffer[] = [];
  for (let part = 0; part < head.value; part++) {
    const length = readNumber(buffer, at);
    if (length === undefined) return undefined;
    const end = length.end + length.value;
    if (buffer.length < end + 2) return undefined;
    parts.push(buffer.subarray(length.end, end));
    at = end + 2;
  }
  const [name, ...args] = parts;
  return { name: (name ?? '').toString('latin1').toUpperCase(), args, bytes: buffer.subarray(0, at) };
}

/** Where the answer that begins here ends, if it is there in full. */
function endOfAnswer(buffer: Buffer, from: number): number | undefined {
  if (from >= buffer.length) return undefined;
  const head = readNumber(buffer, from);
  if (head === undefined) return undefined;
  const kind = String.fromCharCode(buffer[from] ?? 0);
  switch (kind) {
    // Strings of a stated length; -1 stands for none.
    case '$':
    case '=':
    case '!': {
      const end = head.value < 0 ? head.end : head.end + head.value + 2;
      return end > buffer.length ? undefined : end;
    }
    case '*':
    case '~':
    case '>':
      return endOfAnswers(buffer, head.end, head.value);
    case '%':
      return endOfAnswers(buffer, head.end, 2 * head.value);
    // Attributes stand before the answer that they belong to.
    case '|':
      return endOfAnswers(buffer, head.end, 2 * head.value + 1);
    // Everything else is one line.
    default:
      return head.end;
  }
}

function endOfAnswers(buffer: Buffer, from: number, count: number): number | undefined {
  let at: number | undefined = from;
  for (let left = count; left > 0 && at !== undefined; left--) at = endOfAnswer(buffer, at);
  return at;
}

/** The number of a header such as `*3` or `$12`, and where its line ends. */
function readNumber(buffer: Buffer, from: number): { value: number; end: number } | undefined {
  const end = buffer.indexOf('\r\n', from);
  return end < 0 ? undefined : { value: Number(buffer.toString('latin1', from + 1, end)), end: end + 2 };
}
