import type { BreakerChange } from '../breaker/breaker-state.js';
import type { Clock } from '../primitives/clock.js';
import type { EngineLog } from './engine-log.js';
import type { EventBus } from './event-bus.js';

const TYPES = { open: 'breaker.opened', 'half-open': 'breaker.half-open', closed: 'breaker.closed' } as const;

/** Tells of breakers that have changed, in the process that has changed them. */
export class BreakerAnnouncer {
  constructor(
    private readonly bus: EventBus,
    private readonly clock: Clock,
    private readonly log: EngineLog,
  ) {}

  changed(name: string, { to, untilMs, why }: BreakerChange): void {
    const until = untilMs === undefined ? undefined : new Date(untilMs).toISOString();
    const line = `Breaker ${name} is ${to}${until === undefined ? '' : ` until ${until}`}`;
    if (to === 'open') this.log.warn(`${line}: ${why}`, { breaker: name });
    else this.log.log(line, { breaker: name });
    const type = TYPES[to];
    if (!this.bus.wants(type)) return;
    const at = new Date(this.clock.wallMs()).toISOString();
    const about = { id: name, name, queue: '', workflowId: name, position: '', at };
    if (type !== 'breaker.opened') return this.bus.emit({ type, ...about });
    this.bus.emit({ type, ...about, why, ...(until === undefined ? {} : { until }) });
  }
}
