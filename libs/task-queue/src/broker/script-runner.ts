import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { bounded } from '../primitives/bounded.js';
import type { RedisClient } from './redis-client.js';
import { runScript, type Script } from './scripts/script.js';

/** Asks Redis within a bound: a command whose answer was lost with its connection never settles by itself. */
export class ScriptRunner {
  constructor(
    private readonly client: () => Promise<RedisClient>,
    private readonly timeoutMs: number,
  ) {}

  /** @throws BrokerUnavailableError when Redis does not answer in time, or refuses */
  run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return this.ask((client) => runScript(client, script, keys, args));
  }

  /** @throws BrokerUnavailableError when Redis does not answer in time, or refuses */
  async ask<T>(question: (client: RedisClient) => Promise<T>): Promise<T> {
    const client = await this.client();
    try {
      return await bounded(
        question(client),
        this.timeoutMs,
        () => new BrokerUnavailableError(`Redis did not answer within ${this.timeoutMs} ms.`),
      );
    } catch (error) {
      if (error instanceof BrokerUnavailableError) throw error;
      throw new BrokerUnavailableError(`Redis did not answer: ${String(error)}`, undefined, { cause: error });
    }
  }
}
