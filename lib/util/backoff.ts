const MIN_PAUSE = 1;
const MAX_PAUSE = 30;

/** The pause after a failure: 1 s, doubled with each further failure, at most 30 s. */
export class Backoff {
  readonly #clock: () => number;
  #failures = 0;
  #retryAt = 0;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Number of failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** Time until the next attempt is allowed. Seconds, 0 if it is allowed now. */
  get wait(): number {
    // If the clock is set back, the pause must not become longer.
    return this.#failures === 0 ? 0 : Math.min(MAX_PAUSE, Math.max(0, this.#retryAt - this.#clock()));
  }

  /**
   * Records a failure and returns the time until the next attempt, in seconds. A failure during a pause belongs to an
   * attempt that started before the pause, so it does not count again.
   */
  failed(): number {
    if (this.wait > 0) return this.wait;
    const pause = Math.min(MAX_PAUSE, MIN_PAUSE * 2 ** this.#failures);
    this.#failures++;
    this.#retryAt = this.#clock() + pause;
    return pause;
  }

  succeeded(): void {
    this.#failures = 0;
  }
}
