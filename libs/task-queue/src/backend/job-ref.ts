/** Where a job is: an id belongs to one job of a queue. How a store names it is the store's affair. */
export interface JobRef {
  readonly queue: string;
  readonly id: string;
}
