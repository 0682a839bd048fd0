const MIN_PAUSE = 1;
const MAX_PAUSE = 30;

/** How long a server that failed is left alone: 1 s, then twice as long each time, 30 s at most. */
export class Backoff {
  readonly #clock: () => number;
  #failures = 0;
  #retryAt = 0;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** How long to wait before the next attempt. Seconds, 0 where that is due. */
  get wait(): number {
    // A clock that is set back must not make the pause any longer.
    return this.#failures === 0 ? 0 : Math.min(MAX_PAUSE, Math.max(0, this.#retryAt - this.#clock()));
  }

  /**
   * Notes a failure; gives the pause until the next attempt, in seconds. Failures within a pause are of attempts that
   * began before it: they are the same failure.
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
