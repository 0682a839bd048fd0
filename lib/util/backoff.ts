import type { Clock } from './clock.js';

const MIN_PAUSE = 1;
const MAX_PAUSE = 30;
/** The longest pause that a server may ask for. Seconds. */
export const MAX_REQUESTED_PAUSE = 300;

/** The pause after a failure: 1 s, doubled with each further failure, at most 30 s; longer if the server requests it. */
export class Backoff {
  readonly #clock: Clock;
  #failures = 0;
  #retryAt = 0;
  /** The length of the pause. */
  #pause = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Number of failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** Time until the next attempt is allowed. Seconds, 0 if it is allowed now. */
  get wait(): number {
    if (this.#failures === 0) return 0;
    const now = this.#clock();
    // If the clock is set back, the pause must not become longer.
    if (this.#retryAt - now > this.#pause) this.#retryAt = now + this.#pause;
    return Math.max(0, this.#retryAt - now);
  }

  /**
   * Records a failure and returns the time until the next attempt, in seconds. A failure during a pause belongs to an
   * attempt that started before the pause, so it does not count again. `requested` is the pause that the server requested.
   * `duration` is how long the attempt took, if the pause begins with it.
   */
  failed(requested = 0, duration = 0): number {
    const isPaused = this.wait > 0;
    const pause = isPaused ? 0 : Math.min(MAX_PAUSE, MIN_PAUSE * 2 ** this.#failures);
    if (!isPaused) this.#failures++;
    const now = this.#clock();
    const until = now - duration + Math.max(pause, Math.min(MAX_REQUESTED_PAUSE, requested));
    this.#retryAt = isPaused ? Math.max(this.#retryAt, until) : until;
    this.#pause = this.#retryAt - now;
    return this.wait;
  }

  /** Ends the pause, and begins again with the shortest one. */
  reset(): void {
    this.#failures = 0;
  }
}
