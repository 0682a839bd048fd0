import { withTimeout } from './timeout.js';

export interface ConcurrencyLimiterOptions {
  /** How many are let in at once. */
  readonly limit: number;
  /** How many wait outside; one more is turned away at once. */
  readonly maxWaiting: number;
  /** How long one waits outside. Seconds. */
  readonly timeout: number;
}

/** Lets so many do something at once and makes the others wait, in order, within bounds. */
export class ConcurrencyLimiter {
  readonly #options: ConcurrencyLimiterOptions;
  readonly #waiting = new Set<() => void>();
  #inside = 0;

  constructor(options: ConcurrencyLimiterOptions) {
    this.#options = options;
  }

  /** Does the work when it is its turn. Rejects where there are too many, or the turn does not come in time. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside < this.#options.limit) this.#inside++;
    else await this.#turn();
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #turn(): Promise<void> {
    const { maxWaiting, timeout } = this.#options;
    if (this.#waiting.size >= maxWaiting) throw new Error('too many are waiting');
    let enter = (): void => undefined;
    const turn = new Promise<void>((resolve) => {
      enter = resolve;
    });
    this.#waiting.add(enter);
    try {
      await withTimeout(turn, timeout, 'the queue');
    } catch (error) {
      // Who was let in at the very moment that it gave up gives its place to the next.
      if (!this.#waiting.delete(enter)) this.#leave();
      throw error;
    }
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#inside--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
