import { hash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { UpstreamError } from '../errors.js';
import { Backoff } from '../util/backoff.js';
import { ageClockOf, type Clock } from '../util/clock.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { withTimeout } from '../util/timeout.js';
import { readFrom, recordIn, type Store } from '../store/store.js';
import { StoreMonitor } from '../store/store-monitor.js';
import type { WarningStates } from '../util/warnings.js';
import { claim, type Claims } from '../token/claims.js';
import type { IntrospectionResult, IntrospectionSource } from './introspection-client.js';

export interface SharedIntrospectionCacheOptions {
  readonly store: Store;
  /** What a response depends on besides the token and the client. */
  readonly scope: readonly unknown[];
  /** The credentials that introspect. Others may get another response. */
  readonly identity: () => Promise<string>;
  /** How long a positive response is shared. Seconds. */
  readonly maxAge: number;
  /** How long a negative response is shared. Seconds. */
  readonly negativeMaxAge: number;
  /** Deadline of one request to the server. Seconds. */
  readonly introspectionTimeout: number;
  readonly clock: Clock;
  readonly states: WarningStates;
}

/** What is used of a value in the store; the age depends on when it is read. */
type SavedResult = Omit<IntrospectionResult, 'age'>;

/** Where the response for a token is. */
interface Place {
  /** The same for all credentials, so that `invalidate` deletes a response that was received with earlier ones. */
  readonly key: string;
  /** The credentials that the response is for, as a digest. It is not used with others. */
  readonly client: string;
}

/** Deadline of one call of the store. Seconds. */
const STORE_TIMEOUT = 1;
/** Longer responses are not shared. Characters of JSON. */
const MAX_SHARED_LENGTH = 65_536;
/**
 * How often a process checks whether another one has the response: each pause is longer than the one before, because many
 * requests wait if the server is slow. Milliseconds.
 */
const LOOKS = { first: 25, growth: 1.5, longest: 250 };

/**
 * Shares introspection responses between processes: one process sends the request, all use the response. If the store is
 * unavailable, each process sends its own requests, and tries the store again after a pause.
 */
export class SharedIntrospectionCache implements IntrospectionSource {
  readonly #source: IntrospectionSource;
  readonly #options: SharedIntrospectionCacheOptions;
  readonly #backoff: Backoff;
  readonly #monitor: StoreMonitor;

  constructor(source: IntrospectionSource, options: SharedIntrospectionCacheOptions) {
    this.#source = source;
    this.#options = options;
    this.#backoff = new Backoff(ageClockOf(options.clock));
    const consequence = 'Each process introspects all its tokens itself meanwhile.';
    this.#monitor = new StoreMonitor(options.states, 'store', consequence);
  }

  async introspect(token: string, remoteAddress?: string): Promise<IntrospectionResult> {
    const identity = await this.#options.identity().catch(() => undefined);
    // Without credentials, the request reports why.
    if (identity === undefined) return this.#source.introspect(token, remoteAddress);
    const place = this.#placeOf(token, identity);
    const known = await this.#read(place);
    if (known !== undefined) return known;
    const lock = `${place.key}:lock:${place.client}`;
    const isFirst = await this.#call('add', (store) => recordIn(store, lock, this.#introspectionLifetime));
    if (isFirst === false) {
      const shared = await this.#waitForAnother(place, lock);
      if (shared !== undefined) return shared;
    }
    try {
      // Another process may have finished since the first read.
      const shared = isFirst === true ? await this.#read(place) : undefined;
      if (shared !== undefined) return shared;
      const result = await this.#source.introspect(token, remoteAddress);
      await this.#save(place, result);
      return result;
    } finally {
      if (isFirst === true) await this.#call('delete', (store) => store.delete(lock));
    }
  }

  /**
   * Deletes the shared response for a token, whatever credentials it was received with, also one that is being fetched now.
   *
   * @throws UpstreamError if the store is unavailable, because a revocation must not get lost.
   */
  async invalidate(token: string): Promise<void> {
    const { store } = this.#options;
    const key = this.#keyOf(token);
    try {
      // First the mark, then the deletion: a process that saves now either sees the mark, or its value is deleted.
      await withTimeout(store.set(markOf(key), true, this.#introspectionLifetime), STORE_TIMEOUT, 'the store');
      await withTimeout(store.delete(key), STORE_TIMEOUT, 'the store');
    } catch (cause) {
      throw new UpstreamError('store_unavailable', 1, { cause });
    }
  }

  /** Longer than any request to the server takes. Seconds. */
  get #introspectionLifetime(): number {
    return Math.ceil(this.#options.introspectionTimeout) + 1;
  }

  #keyOf(token: string): string {
    return `introspection:${digestOf(this.#options.scope)}:${hash('sha256', token, 'base64url')}`;
  }

  #placeOf(token: string, identity: string): Place {
    return { key: this.#keyOf(token), client: digestOf([this.#options.scope, identity]) };
  }

  async #read({ key, client }: Place): Promise<IntrospectionResult | undefined> {
    const saved = await this.#call('get', (store) => readFrom(store, key));
    const result = readSaved(saved, client);
    if (result === undefined) return undefined;
    // Processes have only the time of day in common.
    const age = this.#options.clock() - result.introspectedAt;
    // A response from the future comes from a wrong clock, which would keep it alive for too long.
    const isUsable = age > -STORE_TIMEOUT * 60 && age < this.#lifetime(result);
    return isUsable ? { ...result, age: Math.max(0, age) } : undefined;
  }

  async #save({ key, client }: Place, result: IntrospectionResult): Promise<void> {
    const { response, introspectedAt, age } = result;
    const lifetime = this.#lifetime(result) - age;
    if (lifetime <= 0) return;
    // A response that is too large, or too deep for JSON, is not shared. That is not a failure of the store.
    if (!isWritable(response)) return;
    await this.#call('set', (store) => store.set(key, { version: 2, client, response, introspectedAt }, lifetime));
    // Invalidated during the request: this response is outdated. Times are not compared, because the mark may come from a
    // machine with a different clock.
    const mark = await this.#call('get', (store) => readFrom(store, markOf(key)));
    if (mark !== undefined) await this.#call('delete', (store) => store.delete(key));
  }

  #lifetime({ response, introspectedAt }: SavedResult): number {
    const { maxAge, negativeMaxAge } = this.#options;
    if (!response.active) return negativeMaxAge;
    const exp = claim(response, 'exp');
    return typeof exp === 'number' ? Math.min(maxAge, exp - introspectedAt) : maxAge;
  }

  // Another process is sending the request. If that process dies, its lock expires.
  async #waitForAnother(place: Place, lock: string): Promise<IntrospectionResult | undefined> {
    const longest = this.#options.introspectionTimeout * 1000;
    let interval = LOOKS.first;
    for (let waited = 0; waited < longest; waited += interval) {
      if (waited > 0) interval = Math.min(LOOKS.longest, interval * LOOKS.growth);
      await pause(interval, undefined, { ref: false });
      const shared = await this.#read(place);
      if (shared !== undefined) return shared;
      const isStillRunning = await this.#call('get', async (store) => (await readFrom(store, lock)) !== undefined);
      if (isStillRunning !== true) return this.#read(place);
    }
    return undefined;
  }

  /** Calls the store; `undefined` if it is unavailable. */
  async #call<T>(called: keyof Store, use: (store: Store) => Promise<T>): Promise<T | undefined> {
    if (this.#backoff.wait > 0) return undefined;
    try {
      const value = await withTimeout(use(this.#options.store), STORE_TIMEOUT, 'the store');
      if (this.#monitor.succeeded(called)) this.#backoff.reset();
      return value;
    } catch (error) {
      // Requests do not depend on the store.
      this.#backoff.failed();
      this.#monitor.failed(called, error);
      return undefined;
    }
  }
}

function digestOf(value: readonly unknown[]): string {
  return hash('sha256', JSON.stringify(value), 'base64url').slice(0, 22);
}

function markOf(key: string): string {
  return `${key}:invalidated`;
}

function isWritable(response: Claims): boolean {
  try {
    return JSON.stringify(response).length <= MAX_SHARED_LENGTH;
  } catch {
    return false;
  }
}

/** Data from a store is checked like data from the network. */
function readSaved(saved: unknown, client: string): SavedResult | undefined {
  if (!isPlainObject(saved)) return undefined;
  const { version, response, introspectedAt } = saved;
  if (version !== 2 || saved.client !== client) return undefined;
  if (typeof introspectedAt !== 'number' || !Number.isFinite(introspectedAt)) return undefined;
  if (!isPlainObject(response)) return undefined;
  const active = claim(response, 'active');
  return typeof active === 'boolean' ? { response: { ...response, active }, introspectedAt } : undefined;
}
