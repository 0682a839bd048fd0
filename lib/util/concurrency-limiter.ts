import { withTimeout } from './timeout.js';

export interface ConcurrencyLimiterOptions {
  /** Maximum number of concurrent runs. */
  readonly limit: number;
  /** Maximum number of waiting runs; a further one is rejected immediately. */
  readonly maxWaiting: number;
  /** Maximum waiting time. Seconds. */
  readonly timeout: number;
}

/** Limits how many runs of some work are in progress; further runs wait in order. */
export class ConcurrencyLimiter {
  readonly #options: ConcurrencyLimiterOptions;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(options: ConcurrencyLimiterOptions) {
    this.#options = options;
  }

  /** Runs the work when there is room. Rejects if too many wait, or the waiting takes too long. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#options.limit) this.#running++;
    else await this.#turn();
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #turn(): Promise<void> {
    const { maxWaiting, timeout } = this.#options;
    if (this.#waiting.size >= maxWaiting) throw new Error('too many requests are waiting');
    let enter = (): void => undefined;
    const turn = new Promise<void>((resolve) => {
      enter = resolve;
    });
    this.#waiting.add(enter);
    try {
      await withTimeout(turn, timeout, 'the queue');
    } catch (error) {
      // If it got its place in the moment of the timeout, the next one gets its place.
      if (!this.#waiting.delete(enter)) this.#leave();
      throw error;
    }
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
