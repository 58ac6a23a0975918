/** A fault that waits for its moment. */
import type { Role } from './actors.js';
import type { Fault, Scene } from './faults/fault.js';
import type { Lane } from './lane.js';
import { nameOf, pathOf } from './path.js';
import type { Side } from './proxy.js';
import type { Report } from './report.js';

/** When and where a fault strikes. */
export interface Aim {
  readonly role: Role;
  readonly fault: Fault;
  readonly side: Side;
  readonly k: number;
  /** The commands that name this are counted. */
  readonly mark: string;
}

export class Strike {
  /** When it struck, and at what. */
  at: number | undefined;
  command: string | undefined;
  #over: Promise<void> | undefined;
  readonly #disarm: () => void;

  /** Arms the proxy of one who plays the part. */
  constructor(lane: Lane, { role, fault, side, k, mark }: Aim, report: Report, who = 0) {
    const players = lane.playing(role);
    const victim = players[who % players.length];
    if (victim === undefined) throw new Error(`nobody is a ${role}`);
    this.#disarm = () => victim.proxy.disarm();
    victim.proxy.arm({
      k,
      side,
      counts: pathOf(mark),
      strike: (command, line) => {
        this.at = Date.now();
        this.command = nameOf(command);
        report.struck(role, fault.name, this.command);
        const relieve = (): Promise<void> => lane.relieve(role, victim);
        const { lostMs, site, prefix } = lane;
        const delivered = (jobs: number): void => report.deliveredAgain(jobs);
        const scene: Scene = { victim, line, relieve, lostMs, site, prefix, delivered };
        const struck = fault.strike(scene);
        this.#over = struck.then(() => fault.aftermath?.(scene));
        // Whoever waits for its end hears of what went wrong.
        this.#over.catch(() => undefined);
        return struck;
      },
    });
  }

  /** Waits until what it does is done, if it has struck. It does not any more. */
  async end(): Promise<void> {
    this.#disarm();
    await this.#over;
  }
}
