/**
 * A fault is what happens while a process stands still between two commands. To add one: write it in a file of this folder
 * and name it in `all.ts`. Every scenario meets it, at every command of its path.
 */
import type { Actor, Role } from '../actors.js';
import type { Line, Side } from '../proxy.js';
import type { Site } from '../site.js';

/** Where it happens. */
export interface Scene {
  /** Who stands still: its process, and its proxy with all of its connections. */
  readonly victim: Actor;
  /** The connection with the command. */
  readonly line: Line;
  /** Lets another process play the part of the victim; resolves when it does. */
  readonly relieve: () => Promise<void>;
  /** After this time others have what the victim had. */
  readonly lostMs: number;
  /** The Redis of all of them, and the prefix of their keys. */
  readonly site: Site;
  readonly prefix: string;
  /** Notes that so many jobs were delivered a second time. */
  readonly delivered: (jobs: number) => void;
}

export interface Fault {
  readonly name: string;
  readonly sides: readonly Side[];
  /** Whom it strikes; anybody, where that is not said. */
  readonly roles?: readonly Role[];
  /** What was held back passes when it resolves, as far as its connection was not cut. */
  strike(scene: Scene): Promise<void>;
  /** What follows while everything passes again. The fault is over when it resolves. */
  aftermath?(scene: Scene): Promise<void>;
}
