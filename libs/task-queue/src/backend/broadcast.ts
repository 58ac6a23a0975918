/**
 * Carries texts from processes to processes, at most once: what nobody listens to is gone, and so is what is said while
 * the store is away.
 */
export interface Broadcast {
  /** @returns false when it was certainly not sent; never waits, never throws */
  send(text: string): boolean;
  /**
   * Listens until it is stopped.
   *
   * @returns how to stop, as soon as nothing is missed any more
   * @throws BrokerUnavailableError when the store does not answer in time
   */
  listen(onText: (text: string) => void): Promise<() => void>;
}
