import type { Admission, Limit, RateLimiter } from '../backend/rate-limiter.js';
import { EMPTY_LINE, holdLine, type SlotLine, takeSlot } from '../rate-limit/take-slot.js';
import type { MemoryStore } from './memory-store.js';

/** Limits in memory, shared by the applications of one prefix. */
export class MemoryRateLimiter implements RateLimiter {
  constructor(private readonly store: MemoryStore) {}

  async ask({ name, rate }: Limit, slot: number | undefined): Promise<Admission> {
    const nowMs = this.store.clock.wallMs();
    const [line, answer] = takeSlot(this.#line(name), rate, nowMs, slot);
    this.store.lines.set(name, line);
    return answer.go ? answer : { ...answer, waitMs: Math.ceil(answer.slot - nowMs) };
  }

  async hold({ name, rate }: Limit, ms: number): Promise<void> {
    this.store.lines.set(name, holdLine(this.#line(name), rate, this.store.clock.wallMs() + ms));
  }

  #line(name: string): SlotLine {
    return this.store.lines.get(name) ?? EMPTY_LINE;
  }
}
