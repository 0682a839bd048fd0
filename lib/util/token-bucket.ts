import type { Clock } from './clock.js';

/** Limits how often something happens: up to `capacity` times in a burst, then once per `interval`. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #interval: number;
  readonly #clock: Clock;
  #tokens: number;
  #refilledAt: number;

  /** The interval is in seconds. */
  constructor(options: { capacity: number; interval: number; clock: Clock }) {
    this.#capacity = options.capacity;
    this.#interval = options.interval;
    this.#clock = options.clock;
    this.#tokens = options.capacity;
    this.#refilledAt = options.clock();
  }

  /** Takes a token. Returns `false` if there is none. */
  take(): boolean {
    this.#refill();
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Returns tokens that were taken. */
  giveBack(tokens: number): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + tokens);
  }

  /** Time until there is a token. Seconds, 0 if there is one. */
  get wait(): number {
    this.#refill();
    return this.#tokens < 1 ? this.#refilledAt + this.#interval - this.#clock() : 0;
  }

  #refill(): void {
    const now = this.#clock();
    // If the clock is set back, the next token must not be further away than the interval.
    this.#refilledAt = Math.min(this.#refilledAt, now);
    const added = Math.floor((now - this.#refilledAt) / this.#interval);
    if (added < 1) return;
    this.#tokens = Math.min(this.#capacity, this.#tokens + added);
    this.#refilledAt = this.#tokens === this.#capacity ? now : this.#refilledAt + added * this.#interval;
  }
}
