/** Who asks for a lock. */
export interface LockRequest {
  readonly name: string;
  /** Made up for this one request: asking again with it is harmless. */
  readonly owner: string;
  readonly ttlMs: number;
  /** The attempt in whose name it is asked for. A later attempt of the same task takes over from an earlier one. */
  readonly attempt?: { readonly task: string; readonly activation: number };
}

/** What became of a request. */
export type LockAnswer =
  | { readonly taken: true; readonly token: number }
  | {
      readonly taken: false;
      /** The task that holds it. */
      readonly by: string | undefined;
      /** How long it will hold it if it is not renewed. */
      readonly forMs: number;
    };

/** Locks by name, each with one holder at most. */
export interface LockStore {
  /**
   * Takes a lock that is free. Tokens grow with every taking, over all names.
   *
   * @throws BrokerUnavailableError when the store does not answer; the lock may have been taken
   */
  take(request: LockRequest): Promise<LockAnswer>;
  /** Holds it for another while. @returns false when it is not, or no longer, the owner's */
  renew(name: string, owner: string, ttlMs: number): Promise<boolean>;
  /** Frees it, if it is the owner's. */
  release(name: string, owner: string): Promise<void>;
}
