import NodeCache from 'node-cache';

/** Maximum number of expired keys that one addition removes while there is space, so that no request pays for all. */
const MAX_STEPS = 1_000;

/**
 * Records keys, each once until its time is over. A recorded key is never evicted earlier, because it could then be
 * recorded a second time: a full cache rejects further keys. Keys are grouped by the second in which they end.
 */
export class ReplayCache {
  readonly #ends = new NodeCache({ useClones: false, checkperiod: 0 });
  readonly #bySecond = new Map<number, Set<string>>();
  readonly #maxEntries: number;
  readonly #clock: () => number;
  #size = 0;
  /** The keys of all seconds before this one have been removed. */
  #second = 0;
  /** The second in which the last key ends. */
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
   * Records a key until a point in time, in seconds since the epoch. Returns `false` if it is already recorded.
   *
   * @throws Error if the cache is full.
   */
  add(key: string, until: number): boolean {
    this.#sweep();
    if (this.has(key)) return false;
    if (this.#isFull()) throw new Error(`the store is full: ${this.#maxEntries} keys`);
    this.#ends.set(key, until);
    // Not before the second that the sweep has reached.
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
    // The clock was set back.
    if (this.#second > now + 1) this.#second = Math.floor(now);
    let steps = 0;
    const isDone = (): boolean => steps++ >= MAX_STEPS && !this.#isFull();
    for (; this.#second <= now; this.#second++) {
      for (const key of this.#bySecond.get(this.#second) ?? []) {
        if (isDone()) return;
        this.#drop(key, this.#second);
        // It may have been recorded again since.
        if (!this.has(key)) this.#ends.del(key);
      }
      if (isDone()) return;
    }
  }
}
