import NodeCache from 'node-cache';

/** How much an addition clears away at most while there is room, so that no request pays for a crowd before it. */
const MAX_STEPS = 1_000;

/**
 * Keys that may be claimed once, within the process. Unlike a value, a claim is never dropped before its time, because
 * somebody could then make it a second time: a memory that is full takes no more. Keys are kept in the order in which they
 * end, by the second.
 */
export class ReplayCache {
  readonly #ends = new NodeCache({ useClones: false, checkperiod: 0 });
  readonly #bySecond = new Map<number, Set<string>>();
  readonly #maxEntries: number;
  readonly #clock: () => number;
  #size = 0;
  /** All seconds before this one have been cleared away. */
  #second = 0;
  /** When the last one ends. */
  #latest = 0;

  constructor(options: { maxEntries: number; clock: () => number }) {
    this.#maxEntries = options.maxEntries;
    this.#clock = options.clock;
  }

  has(key: string): boolean {
    const end = this.#ends.get<number>(key);
    return end !== undefined && end > this.#clock();
  }

  /**
   * Claims a key until a point in time, in seconds since the epoch: `false` where it is claimed already.
   *
   * @throws Error when the memory is full.
   */
  add(key: string, until: number): boolean {
    this.#sweep();
    if (this.has(key)) return false;
    if (this.#isFull()) throw new Error(`the memory is full: ${this.#maxEntries} claims`);
    this.#ends.set(key, until);
    // Never where the sweep has been already.
    const second = Math.max(Math.ceil(until), this.#second);
    const keys = this.#bySecond.get(second) ?? new Set();
    if (keys.size === 0) this.#bySecond.set(second, keys);
    const before = keys.size;
    keys.add(key);
    this.#size += keys.size - before;
    this.#latest = Math.max(this.#latest, second);
    return true;
  }

  delete(key: string): void {
    const end = this.#ends.take<number>(key);
    if (end !== undefined) this.#drop(key, Math.ceil(end));
  }

  #drop(key: string, second: number): void {
    const keys = this.#bySecond.get(second);
    if (keys?.delete(key) !== true) return;
    this.#size--;
    if (keys.size === 0) this.#bySecond.delete(second);
  }

  #isFull(): boolean {
    return this.#size >= this.#maxEntries;
  }

  #sweep(): void {
    const now = this.#clock();
    if (now >= this.#latest) {
      this.#ends.flushAll();
      this.#bySecond.clear();
      this.#size = 0;
      this.#second = Math.floor(now);
      return;
    }
    // The clock was put back.
    if (this.#second > now + 1) this.#second = Math.floor(now);
    let steps = 0;
    const isDone = (): boolean => steps++ >= MAX_STEPS && !this.#isFull();
    for (; this.#second <= now; this.#second++) {
      for (const key of this.#bySecond.get(this.#second) ?? []) {
        if (isDone()) return;
        this.#drop(key, this.#second);
        // It may have been claimed again meanwhile.
        if (!this.has(key)) this.#ends.del(key);
      }
      if (isDone()) return;
    }
  }
}
