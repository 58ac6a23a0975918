/** What an actor is told, and what it says to that. */
import type { CanvasData, TaskQueueModuleOptions } from 'nestjs-task-queue';

export type Deed =
  | { readonly do: 'work'; readonly options: TaskQueueModuleOptions; readonly notesUrl: string }
  | { readonly do: 'produce'; readonly options: TaskQueueModuleOptions }
  | {
      readonly do: 'publish';
      readonly id: string;
      readonly canvas: CanvasData;
      /** Whether its header is read from a source. */
      readonly isStreamed: boolean;
    }
  | { readonly do: 'redrive'; readonly id: string; readonly after: number }
  /** Its clock is wrong by so much from now on. */
  | { readonly do: 'jump'; readonly ms: number }
  /** Says that it is there. */
  | { readonly do: 'answer' }
  /** Becomes warm again, with the right clock. */
  | { readonly do: 'rest' };

export type Order = Deed & { readonly nr: number };

export interface Told {
  readonly nr: number;
  readonly error?: string;
}
