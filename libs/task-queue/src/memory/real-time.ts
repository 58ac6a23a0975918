// Not the globals: fake timers of a test runner would stop what waits for handlers.
import { clearTimeout, setTimeout } from 'node:timers';

/** Waits for an end, or for so long in real time. @returns whether the end came before */
export function endsWithin(end: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    const over = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    end.then(over, over);
  });
}
