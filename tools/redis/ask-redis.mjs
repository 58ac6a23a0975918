// @ts-check
/**
 * One command to one Redis over a plain socket, so that provisioning needs no client library.
 */
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';

/**
 * Where a Redis listens and who asks.
 * @typedef {{ host: string, port: number, tls?: boolean, username?: string, password?: string }} RedisAddress
 */

/**
 * Sends a command (after AUTH where there is a password) and resolves with its reply as text.
 * An error reply, a broken connection and silence beyond `timeoutMs` reject.
 * @param {RedisAddress} address
 * @param {readonly string[]} command
 * @param {number} timeoutMs
 * @returns {Promise<string>}
 */
export function askRedis(address, command, timeoutMs) {
  const { host, port, tls, username, password } = address;
  const commands = password ? [['AUTH', ...(username ? [username] : []), password], command] : [command];
  return new Promise((resolve, reject) => {
    const socket = tls ? connectTls({ host, port, servername: host }) : connectTcp({ host, port });
    const timer = setTimeout(() => end(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
    let received = Buffer.alloc(0);

    /** @param {Error | string} outcome */
    const end = (outcome) => {
      clearTimeout(timer);
      socket.destroy();
      if (typeof outcome === 'string') resolve(outcome);
      else reject(outcome);
    };

    socket.once(tls ? 'secureConnect' : 'connect', () => socket.write(commands.map(encode).join('')));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const replies = decodeReplies(received);
      const refusal = replies.find((reply) => reply.isError);
      const last = replies[commands.length - 1];
      if (refusal) end(new Error(refusal.text));
      else if (last) end(last.text);
    });
    socket.once('error', (error) => end(new Error(describeSocketError(error))));
    socket.once('close', () => end(new Error('the connection was closed')));
  });
}

/**
 * @param {readonly string[]} command
 */
function encode(command) {
  const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
  return `*${command.length}\r\n${parts.join('')}`;
}

/**
 * Reads the complete replies at the start of a buffer: simple strings, errors, integers, bulk strings.
 * @param {Buffer} buffer
 */
function decodeReplies(buffer) {
  /** @type {{ text: string, isError: boolean }[]} */
  const replies = [];
  let at = 0;
  for (;;) {
    const lineEnd = buffer.indexOf('\r\n', at);
    if (lineEnd === -1) return replies;
    const kind = String.fromCharCode(buffer[at] ?? 0);
    const line = buffer.toString('utf8', at + 1, lineEnd);
    at = lineEnd + 2;
    if (kind === '$' && Number(line) >= 0) {
      const bulkEnd = at + Number(line);
      if (buffer.length < bulkEnd + 2) return replies;
      replies.push({ text: buffer.toString('utf8', at, bulkEnd), isError: false });
      at = bulkEnd + 2;
    } else {
      replies.push({ text: line, isError: kind === '-' });
    }
  }
}

/**
 * A refused connection to a name with several addresses is an AggregateError without a message.
 * @param {Error & { code?: string }} error
 */
function describeSocketError(error) {
  return error.message || error.code || 'the connection failed';
}
