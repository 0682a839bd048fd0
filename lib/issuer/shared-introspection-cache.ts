import { hash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Backoff } from '../util/backoff.js';
import { withTimeout } from '../util/timeout.js';
import type { Store } from '../store/store.js';
import { claim, type Claims } from '../token/claims.js';
import type { IntrospectionResult, IntrospectionSource } from './introspection-client.js';

export interface SharedIntrospectionCacheOptions {
  readonly store: Store;
  /** What the answers depend on beside the token: server and client. */
  readonly scope: readonly string[];
  /** How long a positive answer is shared. Seconds. */
  readonly maxAge: number;
  /** How long a negative answer is shared. Seconds. */
  readonly negativeMaxAge: number;
  /** How long one question to the server takes at most. Seconds. */
  readonly introspectionTimeout: number;
  /** Seconds since the epoch. */
  readonly clock: () => number;
}

/** Deadline for one call of the store. Seconds. */
const STORE_TIMEOUT = 1;
/** Longer answers are not shared. Characters of JSON. */
const MAX_SHARED_LENGTH = 65_536;
/** How often one process looks whether another has its answer. Milliseconds. */
const LOOK_INTERVAL = 25;

/**
 * Shares the answers of the authorization server between processes: what one has asked, all know. The store is a help
 * and no more; where it cannot be had, each process asks for itself, and tries the store again after a while.
 */
export class SharedIntrospectionCache implements IntrospectionSource {
  readonly #source: IntrospectionSource;
  readonly #options: SharedIntrospectionCacheOptions;
  readonly #prefix: string;
  readonly #backoff: Backoff;

  constructor(source: IntrospectionSource, options: SharedIntrospectionCacheOptions) {
    this.#source = source;
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
    this.#prefix = `introspection:${hash('sha256', JSON.stringify(options.scope), 'base64url').slice(0, 16)}`;
  }

  async introspect(token: string): Promise<IntrospectionResult> {
    const key = this.#key(token);
    const known = await this.#read(key);
    if (known !== undefined) return known;
    const lock = `${key}:lock`;
    const isFirst = await this.#call((store) => store.add(lock, this.#introspectionLifetime));
    if (isFirst === false) {
      const told = await this.#waitForAnother(key, lock);
      if (told !== undefined) return told;
    }
    try {
      // Another may have asked, and been done, since we looked.
      const told = isFirst === true ? await this.#read(key) : undefined;
      if (told !== undefined) return told;
      const info = await this.#source.introspect(token);
      await this.#save(key, info);
      return info;
    } finally {
      if (isFirst === true) await this.#call((store) => store.delete(lock));
    }
  }

  /**
   * Drops what is shared of a token, and what is being asked about it at this moment. Rejects where the store cannot be
   * told: a revocation must not get lost.
   */
  async invalidate(token: string): Promise<void> {
    const { store } = this.#options;
    const key = this.#key(token);
    // First the mark, then the deletion: whoever saves at this moment sees the one or suffers the other.
    await withTimeout(store.set(markOf(key), true, this.#introspectionLifetime), STORE_TIMEOUT, 'the store');
    await withTimeout(store.delete(key), STORE_TIMEOUT, 'the store');
  }

  /** Longer than any question to the server takes. Seconds. */
  get #introspectionLifetime(): number {
    return Math.ceil(this.#options.introspectionTimeout) + 1;
  }

  #key(token: string): string {
    return `${this.#prefix}:${hash('sha256', token, 'base64url')}`;
  }

  async #read(key: string): Promise<IntrospectionResult | undefined> {
    const saved = await this.#call((store) => store.get(key));
    const info = readSaved(saved);
    if (info === undefined) return undefined;
    const age = this.#options.clock() - info.introspectedAt;
    // An answer from the future is of a clock that cannot be trusted to let it end.
    return age > -STORE_TIMEOUT * 60 && age < this.#lifetime(info) ? info : undefined;
  }

  async #save(key: string, info: IntrospectionResult): Promise<void> {
    const { response, introspectedAt } = info;
    const lifetime = this.#lifetime(info) - (this.#options.clock() - introspectedAt);
    if (lifetime <= 0) return;
    // What is too large, or too deep to be written as JSON, is not shared: that is no failure of the store's.
    if (!isWritable(response)) return;
    await this.#call(async (store) => {
      await store.set(key, { version: 1, response, introspectedAt }, lifetime);
      // Forgotten while it was asked for: then this answer is already out of date. Clocks are not compared, because the
      // mark may be another machine's.
      if ((await store.get(markOf(key))) !== undefined) await store.delete(key);
    });
  }

  #lifetime({ response, introspectedAt }: IntrospectionResult): number {
    const { maxAge, negativeMaxAge } = this.#options;
    if (!response.active) return negativeMaxAge;
    const exp = claim(response, 'exp');
    return typeof exp === 'number' ? Math.min(maxAge, exp - introspectedAt) : maxAge;
  }

  // Another process asks at this moment. Should it die over that, its lock ends by itself.
  async #waitForAnother(key: string, lock: string): Promise<IntrospectionResult | undefined> {
    const looks = (this.#options.introspectionTimeout * 1000) / LOOK_INTERVAL;
    for (let look = 0; look < looks; look++) {
      await pause(LOOK_INTERVAL, undefined, { ref: false });
      const told = await this.#read(key);
      if (told !== undefined) return told;
      const isStillAsking = await this.#call(async (store) => (await store.get(lock)) !== undefined);
      if (isStillAsking !== true) return this.#read(key);
    }
    return undefined;
  }

  /** One call of the store; `undefined` where it cannot be had. */
  async #call<T>(use: (store: Store) => Promise<T>): Promise<T | undefined> {
    if (this.#backoff.wait > 0) return undefined;
    try {
      const value = await withTimeout(use(this.#options.store), STORE_TIMEOUT, 'the store');
      this.#backoff.succeeded();
      return value;
    } catch {
      // Nobody's failure but the store's: the server is asked instead.
      this.#backoff.failed();
      return undefined;
    }
  }
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

/** What comes out of a store is believed as little as what comes from the network. */
function readSaved(saved: unknown): IntrospectionResult | undefined {
  if (typeof saved !== 'object' || saved === null) return undefined;
  const { version, response, introspectedAt } = saved as Record<string, unknown>;
  if (version !== 1 || typeof introspectedAt !== 'number' || !Number.isFinite(introspectedAt)) return undefined;
  if (typeof response !== 'object' || response === null || Array.isArray(response)) return undefined;
  const active = claim(response as Claims, 'active');
  return typeof active === 'boolean' ? { response: { ...response, active }, introspectedAt } : undefined;
}
