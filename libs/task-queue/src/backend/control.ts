/** What workers tell each other. */
export interface ControlMessage {
  readonly revoke: string;
  /** End what is running as well. */
  readonly terminate: boolean;
}

/**
 * Tells workers at once what concerns what they run now. A message that is missed loses nothing that is promised: what
 * waits is revoked in the store, and the store is asked before a task is tried again.
 */
export interface Control {
  send(message: ControlMessage): Promise<void>;
  /** Listens from now on, until the backend is closed. */
  listen(onMessage: (message: ControlMessage) => void, onError: (error: Error) => void): void;
}
