import { globalFetch } from './http.js';
import type { KeySet, KeysHealth, KeySource } from './key-set.js';
import { RemoteKeySet, type RemoteKeySetOptions } from './remote-key-set.js';

/** A key set, and the verifiers that use it. It does not keep them from being collected. */
interface Shared {
  readonly name: string;
  readonly keySet: RemoteKeySet;
  readonly users: Set<WeakRef<SharedKeySet>>;
}

/** Only verifiers keep a key set alive. */
const sharedSets = new Map<string, WeakRef<Shared>>();
const collected = new FinalizationRegistry<string>((name) => {
  if (sharedSets.get(name)?.deref() === undefined) sharedSets.delete(name);
});

const ids = new WeakMap<object, number>();
let lastId = 0;

/** The keys for one verifier. Verifiers with the same `jwksUri`, and the same options for it, share one key set. */
export function keySetFor(options: RemoteKeySetOptions): KeySource {
  return options.jwksUri === undefined ? new RemoteKeySet(options) : new SharedKeySet(findOrCreate(options));
}

function findOrCreate(options: RemoteKeySetOptions): Shared {
  const name = nameOf(options);
  const known = sharedSets.get(name)?.deref();
  if (known !== undefined) return known;
  const shared: Shared = { name, keySet: new RemoteKeySet(options), users: new Set() };
  sharedSets.set(name, new WeakRef(shared));
  collected.register(shared, name);
  return shared;
}

/** Everything that the keys, and the requests for them, depend on. The issuer is not part of that. */
function nameOf({ jwksUri, http, refreshInterval, cooldown, maxStale, snapshot, clock }: RemoteKeySetOptions): string {
  // Somebody may replace the global `fetch`, such as a test.
  const objects = [http.fetch === globalFetch ? globalThis.fetch : http.fetch, snapshot, clock];
  const values = [jwksUri, http.timeout, http.maxBytes, refreshInterval, cooldown, maxStale];
  return JSON.stringify([...values, ...objects.map(idOf)]);
}

function idOf(value: object | undefined): number {
  if (value === undefined) return 0;
  const known = ids.get(value);
  if (known !== undefined) return known;
  ids.set(value, ++lastId);
  return lastId;
}

/** One verifier's part of a key set. */
class SharedKeySet implements KeySource {
  readonly #shared: Shared;
  isOpen = true;

  constructor(shared: Shared) {
    this.#shared = shared;
    SharedKeySet.#removeUnused(shared);
    shared.users.add(new WeakRef(this));
  }

  get(): KeySet | Promise<KeySet> {
    return this.#shared.keySet.get();
  }

  get fetches(): number {
    return this.#shared.keySet.fetches;
  }

  reloadForUnknownKey(...search: Parameters<KeySource['reloadForUnknownKey']>): Promise<KeySet> {
    return this.#shared.keySet.reloadForUnknownKey(...search);
  }

  current(): KeySet | undefined {
    return this.#shared.keySet.current();
  }

  ready(): Promise<void> {
    return this.#shared.keySet.ready();
  }

  health(): KeysHealth {
    return this.#shared.keySet.health();
  }

  endPause(): void {
    this.#shared.keySet.endPause();
  }

  abortLoads(): void {
    // There is one request, whose own deadline is not longer, and other verifiers may wait for it.
  }

  /** Closes the key set if no other verifier uses it. */
  close(): void {
    const { name, keySet, users } = this.#shared;
    this.isOpen = false;
    SharedKeySet.#removeUnused(this.#shared);
    if (users.size > 0) return;
    if (sharedSets.get(name)?.deref() === this.#shared) sharedSets.delete(name);
    keySet.close();
  }

  /** Removes verifiers that were closed, or collected without that. */
  static #removeUnused({ users }: Shared): void {
    for (const user of users) {
      if (user.deref()?.isOpen !== true) users.delete(user);
    }
  }
}
