import { partOf } from '../util/partitioned-map.js';

/** Maximum number of expired keys that one addition removes while there is space, so that no request pays for all. */
const MAX_STEPS = 1_000;
/** About how many keys a part of the cache has: what one addition may have to sweep and to resize. */
const KEYS_PER_PART = 4_096;

/**
 * Records keys, each once until its time is over. A recorded key is never evicted earlier, because it could then be
 * recorded a second time: a full cache rejects further keys.
 */
export class ReplayCache {
  readonly #parts: readonly Part[];
  readonly #maxEntries: number;
  readonly #clock: () => number;
  #size = 0;

  constructor(options: { maxEntries: number; clock: () => number }) {
    this.#maxEntries = options.maxEntries;
    this.#clock = options.clock;
    this.#parts = Array.from({ length: Math.ceil(options.maxEntries / KEYS_PER_PART) }, () => new Part());
  }

  has(key: string): boolean {
    return partOf(this.#parts, key).has(key, this.#clock());
  }

  /**
   * Records a key until a time of the clock of the cache. Returns `false` if it is already recorded.
   *
   * @throws Error if the cache is full.
   */
  add(key: string, until: number): boolean {
    const part = partOf(this.#parts, key);
    const now = this.#clock();
    this.#size -= part.sweep(now);
    if (part.has(key, now)) return false;
    for (const each of this.#parts) {
      if (this.#size < this.#maxEntries) break;
      this.#size -= each.sweep(now);
    }
    if (this.#size >= this.#maxEntries) throw new Error(`the store is full: ${this.#maxEntries} keys`);
    this.#size += part.add(key, until);
    return true;
  }

  delete(key: string): void {
    this.#size -= partOf(this.#parts, key).delete(key);
  }
}

/** Keys, grouped by the second in which they end. */
class Part {
  readonly #ends = new Map<string, number>();
  readonly #bySecond = new Map<number, Set<string>>();
  /** The second in which all expired keys were removed. */
  #sweptIn: number | undefined;

  has(key: string, now: number): boolean {
    return (this.#ends.get(key) ?? now) > now;
  }

  /** Returns how many places it uses in addition. A key that is recorded again may still have the place of its last time. */
  add(key: string, until: number): number {
    const second = Math.ceil(until);
    const keys = this.#bySecond.get(second) ?? new Set();
    if (keys.size === 0) this.#bySecond.set(second, keys);
    const before = keys.size;
    keys.add(key);
    this.#ends.set(key, until);
    return keys.size - before;
  }

  /** Returns how many places became free. */
  delete(key: string): number {
    const end = this.#ends.get(key);
    if (end === undefined) return 0;
    this.#ends.delete(key);
    return this.#free(key, Math.ceil(end));
  }

  /** Removes expired keys, not all of them if they are many. Returns how many places became free. */
  sweep(now: number): number {
    if (this.#sweptIn === Math.floor(now)) return 0;
    let freed = 0;
    for (const [second, keys] of this.#bySecond) {
      if (second > now) continue;
      for (const key of keys) {
        if (freed === MAX_STEPS) return freed;
        freed += this.#free(key, second);
        // It may have been recorded again since.
        if (!this.has(key, now)) this.#ends.delete(key);
      }
    }
    this.#sweptIn = Math.floor(now);
    return freed;
  }

  #free(key: string, second: number): number {
    const keys = this.#bySecond.get(second);
    if (keys?.delete(key) !== true) return 0;
    if (keys.size === 0) this.#bySecond.delete(second);
    return 1;
  }
}
