import { PartitionedMap } from './partitioned-map.js';

interface Entry<V> {
  readonly value: V;
  /** By the clock of the cache. */
  readonly until: number;
  readonly bytes: number;
  /** Its place in the ring. */
  place: number;
  isUsed: boolean;
}

export interface BoundedCacheOptions {
  readonly maxEntries: number;
  /** Maximum of the bytes of all entries together. @default unlimited */
  readonly maxBytes?: number | undefined;
  readonly clock: () => number;
}

/** What an entry uses in addition to its key and its value. Bytes. */
const ENTRY_BYTES = 128;
/** How many used entries one eviction skips, so that a large cache whose entries are all in use does not block the process. */
const MAX_SKIPPED = 1_000;

/**
 * A cache with a maximum number of entries, and of bytes. It evicts with the clock algorithm: a hand moves over the keys in a
 * ring, skips each entry that was used since the last visit once, and evicts the first one that was not used or has expired.
 * Entries in use survive a flood of entries that are never read. Every request reads one, so it is a `Map`, and not
 * node-cache.
 */
export class BoundedCache<V> {
  readonly #entries: PartitionedMap<Entry<V>>;
  /** The keys of all entries. An array, because an iterator of the map would keep its old tables alive. */
  readonly #ring: string[] = [];
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #clock: () => number;
  #hand = 0;
  #bytes = 0;

  constructor(options: BoundedCacheOptions) {
    this.#entries = new PartitionedMap(options.maxEntries);
    this.#maxEntries = options.maxEntries;
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#clock = options.clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.until <= this.#clock()) {
      this.delete(key);
      return undefined;
    }
    entry.isUsed = true;
    return entry.value;
  }

  /**
   * Stores a value until a time of the clock of the cache. If that time is over, deletes the key. If the value alone is
   * larger than the cache, deletes the key and returns `false`. `size` is what the value uses, in bytes.
   */
  set(key: string, value: V, until: number, size = 0): boolean {
    this.delete(key);
    if (until <= this.#clock()) return true;
    const bytes = ENTRY_BYTES + key.length + size;
    if (bytes > this.#maxBytes) return false;
    while (this.#entries.size >= this.#maxEntries || this.#bytes + bytes > this.#maxBytes) this.#evict();
    // Behind the hand, so that the hand visits all others before the new entry.
    const ahead = this.#ring[this.#hand];
    if (ahead !== undefined) this.#place(ahead, this.#ring.length);
    this.#entries.set(key, { value, until, bytes, place: this.#hand, isUsed: false });
    this.#place(key, this.#hand++);
    this.#bytes += bytes;
    return true;
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const last = this.#ring.pop();
    if (last !== undefined && last !== key) this.#place(last, entry.place);
    this.#hand = Math.min(this.#hand, this.#ring.length);
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#ring.length = 0;
    this.#hand = 0;
    this.#bytes = 0;
  }

  #place(key: string, place: number): void {
    this.#ring[place] = key;
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.place = place;
  }

  #evict(): void {
    for (let skipped = 0; ; skipped++) {
      if (this.#hand === this.#ring.length) this.#hand = 0;
      const key = this.#ring[this.#hand] ?? '';
      const entry = this.#entries.get(key);
      if (entry?.isUsed !== true || entry.until <= this.#clock() || skipped === MAX_SKIPPED) {
        this.delete(key);
        return;
      }
      entry.isUsed = false;
      this.#hand++;
    }
  }
}
