/** What workers are told. */
export type ControlMessage =
  | {
      readonly revoke: string;
      /** End what is running as well. */
      readonly terminate: boolean;
      /**
       * Of a header whose closing asked for it: what runs in a later one is not meant, which it may find when whoever says so was
       * paused. Nothing is said where somebody asked for it, nor by older versions.
       */
      readonly generation?: number;
    }
  /** Limits of tasks or rate limits are others now: to be read again. */
  | { readonly limits: 'changed' }
  | LimitOfOne
  | Watch
  | { readonly unwatch: string };

/** A task that runs has other time limits now. */
export interface LimitOfOne {
  /** Its id. */
  readonly limit: string;
  readonly softMs?: number;
  readonly hardMs?: number;
}

/** Somebody wants to hear of events. Said again and again, as long as it holds. */
export interface Watch {
  /** Who. */
  readonly watch: string;
  /** Of which types; all where nothing is said. */
  readonly types?: readonly string[];
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
