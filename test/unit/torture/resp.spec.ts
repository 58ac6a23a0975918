import { AnswerSplitter, CommandSplitter } from '../../support/resp.js';

/** Bytes that arrive one by one, or all at once. */
const inPieces = (text: string): Buffer[][] => [
  [Buffer.from(text)],
  Array.from(Buffer.from(text), (byte) => Buffer.from([byte])),
];

describe('the protocol of Redis, as proxies read it', () => {
  it.each(inPieces('*2\r\n$4\r\necho\r\n$6\r\na\r\nb\r\n\r\n*1\r\n$4\r\nPING\r\n'))(
    'is cut into commands',
    (...chunks) => {
      const splitter = new CommandSplitter();
      const commands = chunks.flatMap((chunk) => splitter.push(chunk));
      expect(commands.map(({ name, args }) => [name, ...args.map(String)])).toEqual([
        ['ECHO', 'a\r\nb\r\n'],
        ['PING'],
      ]);
    },
  );

  const answers = [
    '+OK\r\n',
    '-ERR no\r\n',
    ':7\r\n',
    '$-1\r\n',
    '$4\r\na\r\nb\r\n',
    '*-1\r\n',
    '*3\r\n:1\r\n*1\r\n$1\r\nx\r\n_\r\n',
    '%1\r\n+key\r\n,1.5\r\n',
    '~1\r\n#t\r\n',
    '=7\r\ntxt:abc\r\n',
    '|1\r\n+ttl\r\n:3\r\n$1\r\ny\r\n',
  ];
  const push = '>2\r\n+message\r\n+hello\r\n';

  it.each(inPieces([...answers, push, '+LAST\r\n'].join('')))('is cut into answers', (...chunks) => {
    const splitter = new AnswerSplitter();
    const found = chunks.flatMap((chunk) => splitter.push(chunk));
    expect(found.map(({ bytes }) => String(bytes))).toEqual([...answers, push, '+LAST\r\n']);
    expect(found.filter(({ isPush }) => isPush).map(({ bytes }) => String(bytes))).toEqual([push]);
  });
});
