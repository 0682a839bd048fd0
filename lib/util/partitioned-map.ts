import { randomInt } from 'node:crypto';

/** About how many keys one table has. A table of a million keys blocks the process for tens of milliseconds when it grows. */
const KEYS_PER_PART = 16_384;

/** The part of several that a key belongs to: always the same one. */
export function partOf<P>(parts: readonly P[], key: string): P {
  const part = parts.length === 1 ? parts[0] : parts[hashOf(key) % parts.length];
  if (part === undefined) throw new RangeError('there must be at least one part');
  return part;
}

/** Callers choose some keys. It is secret, so that they cannot choose keys that all belong to one part. */
const SEED = randomInt(0x1_0000_0000);

/** FNV-1a, with a secret basis. */
function hashOf(key: string): number {
  let hash = SEED;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** A map for many keys. It consists of small ones, so that no single addition or deletion blocks the process. */
export class PartitionedMap<V> {
  readonly #parts: readonly Map<string, V>[];
  #size = 0;

  constructor(maxEntries: number) {
    this.#parts = Array.from({ length: Math.ceil(maxEntries / KEYS_PER_PART) }, () => new Map<string, V>());
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    return partOf(this.#parts, key).get(key);
  }

  set(key: string, value: V): void {
    const part = partOf(this.#parts, key);
    const before = part.size;
    part.set(key, value);
    this.#size += part.size - before;
  }

  delete(key: string): void {
    if (partOf(this.#parts, key).delete(key)) this.#size--;
  }

  clear(): void {
    for (const part of this.#parts) part.clear();
    this.#size = 0;
  }
}
