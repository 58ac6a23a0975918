/** Called when something about a task may have changed. It says nothing about what: whoever waits reads again. */
export type Wake = () => void;

/** Wakes those who wait for tasks. Events only wake: they can be missed, so nobody may depend on one. */
export interface TaskEvents {
  /** Whether the application has been closed: nobody is woken any more. */
  readonly closed: boolean;
  /** Listens for one task of a queue. Returns how to stop. */
  listen(queue: string, id: string, wake: Wake): () => void;
  /** Wakes all who wait, for the last time, and ends what was open for them. Closing twice is the same. */
  close(): Promise<void>;
}
