import NodeCache from 'node-cache';

interface Entry<V> {
  readonly value: V;
  /** Seconds since the epoch. */
  readonly until: number;
  isUsed: boolean;
}

/**
 * A bounded memory within the process. node-cache holds the entries but throws when it is full and never evicts: that is
 * mended here, with the clock algorithm. A hand goes round the slots; who was used since it last came by is spared once,
 * who was not, or has expired, makes room. A hit costs one bit, an insertion a constant number of steps on average, and
 * a wave of entries that nobody asks for again does not push out those in use.
 */
export class BoundedCache<V> {
  // No clones, because values are frozen; no timer, because expiry is told by our own clock and the hand sweeps.
  readonly #entries = new NodeCache({ useClones: false, checkperiod: 0 });
  readonly #slots: string[] = [];
  readonly #maxEntries: number;
  readonly #clock: () => number;
  #hand = 0;

  constructor(options: { maxEntries: number; clock: () => number }) {
    this.#maxEntries = options.maxEntries;
    this.#clock = options.clock;
  }

  get size(): number {
    return this.#entries.getStats().keys;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get<Entry<V>>(key);
    if (entry === undefined) return undefined;
    if (entry.until <= this.#clock()) {
      this.#entries.del(key);
      return undefined;
    }
    entry.isUsed = true;
    return entry.value;
  }

  /** Remembers a value until a point in time, in seconds since the epoch; where that is past, nothing any more. */
  set(key: string, value: V, until: number): void {
    if (until <= this.#clock()) {
      this.#entries.del(key);
      return;
    }
    if (!this.#entries.has(key)) this.#slots[this.#freeSlot()] = key;
    this.#entries.set<Entry<V>>(key, { value, until, isUsed: false });
  }

  delete(key: string): void {
    this.#entries.del(key);
  }

  clear(): void {
    this.#entries.flushAll();
    this.#slots.length = 0;
    this.#hand = 0;
  }

  #freeSlot(): number {
    if (this.#slots.length < this.#maxEntries) return this.#slots.length;
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#maxEntries;
      const key = this.#slots[slot] ?? '';
      const entry = this.#entries.get<Entry<V>>(key);
      if (entry?.isUsed === true && entry.until > this.#clock()) {
        entry.isUsed = false;
        continue;
      }
      this.#entries.del(key);
      return slot;
    }
  }
}
