import type { KeyObject } from 'node:crypto';
import type { Store } from '../store/store.js';
import { HttpError, fetchJson, type HttpOptions } from './http.js';
import { RefreshingResource, type ResourceHealth, type LoadResult } from './refreshing-resource.js';
import { Jwks } from './jwks.js';
import { fetchMetadata, type IssuerMetadata } from './metadata.js';
import { KeySnapshot } from './key-snapshot.js';

/** The keys of one moment. Their identity tells whether what rested on them still stands. */
export interface KeySet {
  /** The keys that a token of this algorithm and key id may have been signed with. */
  find(alg: string, kid: string | undefined): Promise<readonly KeyObject[]>;
}

/** Where a verifier gets its keys. */
export interface KeySource {
  /** The keys to verify with. An `UpstreamError` where the issuer's keys cannot be had. */
  get(): Promise<KeySet>;
  /** The keys after asking the issuer anew because one is unknown, as often as that is allowed. */
  reloadForUnknownKey(): Promise<KeySet>;
  /** What `get` would give, without waiting; `undefined` where it would wait. */
  current(): KeySet | undefined;
  ready(): Promise<void>;
  health(): KeysHealth;
  close(): void;
}

/** Age and freshness of an issuer's documents. Keys that were handed in are always `fresh`. */
export interface KeysHealth {
  readonly keys: ResourceHealth;
  /** Where the keys' address comes from discovery. */
  readonly metadata?: ResourceHealth | undefined;
  /** Why the `keySnapshot` could not be read or saved the last time. Requests do not depend on it. */
  readonly snapshotError?: unknown;
}

/** How an issuer's keys are kept. */
export interface KeyOptions {
  /**
   * How long keys are fresh, whatever the issuer's `Cache-Control` says. Seconds, 1 to 86,400. By default the answer's
   * `max-age`, kept within 60 and 86,400, or 600 without one. They are refreshed in the background before that ends.
   */
  refreshInterval?: number | undefined;
  /** Least time between two fetches for the sake of an unknown key id. Seconds, 1 to 3,600. @default 30 */
  cooldown?: number | undefined;
  /**
   * How long the last good keys still serve, once they are no longer fresh, when the issuer cannot be reached. Seconds,
   * 0 (never) to 604,800. @default 86400
   */
  maxStale?: number | undefined;
  /** Deadline for one exchange with the issuer, body included. Seconds, 0.1 to 60. @default 5 */
  timeout?: number | undefined;
  /** Cap on one answer of the issuer's. Bytes, 1,024 to 16,777,216. @default 1048576 */
  maxBytes?: number | undefined;
}

/** Keys that are at hand: a JWKS or a secret from the options. */
export class StaticKeySet implements KeySource {
  readonly #keys: KeySet;

  constructor(keys: KeySet) {
    this.#keys = keys;
  }

  get(): Promise<KeySet> {
    return Promise.resolve(this.#keys);
  }

  reloadForUnknownKey(): Promise<KeySet> {
    return this.get();
  }

  current(): KeySet {
    return this.#keys;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  health(): KeysHealth {
    return { keys: { age: 0, state: 'fresh', failures: 0 } };
  }

  close(): void {
    // Nothing is open.
  }
}

export interface RemoteKeySetOptions {
  readonly issuer: string;
  /** Instead of discovery. */
  readonly jwksUri: string | undefined;
  readonly allowInsecureHttp: boolean;
  readonly http: HttpOptions;
  readonly refreshInterval: number | undefined;
  readonly cooldown: number;
  readonly maxStale: number;
  readonly snapshot: Store | undefined;
  /** Where only the metadata is asked for, that is what a timer refreshes. */
  readonly needsKeys: boolean;
  readonly clock: () => number;
}

/** The issuer's keys, found by its metadata or at a configured address, and kept alive. */
export class RemoteKeySet implements KeySource {
  readonly #options: RemoteKeySetOptions;
  readonly #metadata: RefreshingResource<IssuerMetadata> | undefined;
  readonly #keys: RefreshingResource<Jwks>;
  readonly #snapshot: KeySnapshot | undefined;
  #lastSet: Jwks | undefined;
  #reloadedAt = Number.NEGATIVE_INFINITY;
  #metadataFetchedAt: number | undefined;
  #reloading: Promise<Jwks> | undefined;

  constructor(options: RemoteKeySetOptions) {
    this.#options = options;
    const { clock, refreshInterval, maxStale, snapshot: store } = options;
    if (store !== undefined) this.#snapshot = new KeySnapshot({ ...options, store });
    if (options.jwksUri === undefined) {
      // Beside keys it needs no timer of its own: whenever they are refreshed, it is looked at first.
      this.#metadata = new RefreshingResource({
        load: (closing) => this.#loadMetadata(closing),
        restore: () => this.#restoreMetadata(),
        reason: 'metadata_unavailable',
        clock,
        refreshInterval,
        maxStale,
        refreshAhead: !options.needsKeys,
      });
    }
    this.#keys = new RefreshingResource({
      load: (closing) => this.#loadKeys(closing),
      restore: () => this.#restoreKeys(),
      reason: 'keys_unavailable',
      clock,
      refreshInterval,
      maxStale,
      refreshAhead: true,
    });
  }

  get(): Promise<Jwks> {
    return this.#keys.get();
  }

  // Callers choose key ids, so they must not choose how often the issuer is asked. Only these fetches count for the
  // cooldown: a key that is rotated right after a scheduled refresh is found at once.
  reloadForUnknownKey(): Promise<Jwks> {
    if (this.#reloading !== undefined) return this.#reloading;
    const now = this.#options.clock();
    // A clock that was set back ends the cooldown.
    const isCoolingDown = now >= this.#reloadedAt && now < this.#reloadedAt + this.#options.cooldown;
    if (isCoolingDown && !this.#keys.isFailing) return this.#keys.get();
    this.#reloadedAt = now;
    this.#reloading = this.#keys.reload().finally(() => {
      this.#reloading = undefined;
    });
    return this.#reloading;
  }

  current(): Jwks | undefined {
    return this.#keys.peek();
  }

  /** What the issuer says of itself. An `UpstreamError` where that cannot be had. */
  metadata(): Promise<IssuerMetadata> {
    if (this.#metadata === undefined) throw new TypeError('there is no discovery where jwksUri is given');
    return this.#metadata.get();
  }

  async ready(): Promise<void> {
    await this.#keys.get();
  }

  health(): KeysHealth {
    const snapshotError = this.#snapshot?.lastError;
    return {
      keys: this.#keys.health(),
      ...(this.#metadata === undefined ? {} : { metadata: this.#metadata.health() }),
      ...(snapshotError === undefined ? {} : { snapshotError }),
    };
  }

  close(): void {
    this.#keys.close();
    this.#metadata?.close();
  }

  async #loadMetadata(closing: AbortSignal): Promise<LoadResult<IssuerMetadata>> {
    const { issuer, allowInsecureHttp, http } = this.#options;
    const { metadata, maxAge } = await fetchMetadata(issuer, allowInsecureHttp, http, closing);
    this.#metadataFetchedAt = this.#options.clock();
    return { value: metadata, maxAge };
  }

  async #loadKeys(closing: AbortSignal): Promise<LoadResult<Jwks>> {
    const jwksUri = this.#options.jwksUri ?? (await this.#discoverJwksUri());
    const { json, maxAge } = await fetchJson(jwksUri, this.#options.http, closing);
    const keySet = this.#sameSet(Jwks.fetchedFrom(jwksUri, json));
    // Not waited for: requests do not depend on it, and its failure is told by `health`.
    const fetchedAt = this.#options.clock();
    const metadataFetchedAt = this.#metadataFetchedAt ?? fetchedAt;
    void this.#snapshot?.save({ jwksUri, keySet, maxAge, fetchedAt, metadataFetchedAt });
    return { value: keySet, maxAge };
  }

  // The same keys stay the same set, so that what rests on them need not be verified again.
  #sameSet(set: Jwks): Jwks {
    if (this.#lastSet?.fingerprint === set.fingerprint) return this.#lastSet;
    this.#lastSet = set;
    return set;
  }

  async #discoverJwksUri(): Promise<string> {
    const metadata = this.#metadata;
    if (metadata === undefined) throw new TypeError('there is no metadata to discover the keys by');
    // Keys that cannot be had, or are not among those that were, may have moved.
    const isDoubtful = this.#keys.isFailing || this.#reloading !== undefined;
    const found = await (isDoubtful ? metadata.reload().catch(() => metadata.get()) : metadata.get());
    if (found.jwks_uri === undefined) {
      throw new HttpError('invalid', `the metadata of ${this.#options.issuer} has no jwks_uri that may be asked`);
    }
    return found.jwks_uri;
  }

  async #restoreMetadata(): Promise<LoadResult<IssuerMetadata> | undefined> {
    const snapshot = await this.#snapshot?.read();
    if (snapshot === undefined) return undefined;
    const { jwksUri, metadataFetchedAt } = snapshot;
    // Saved again with the keys, it stays as old as it is: what was put into a store does not live on by itself.
    this.#metadataFetchedAt = metadataFetchedAt;
    const value = { issuer: this.#options.issuer, jwks_uri: jwksUri };
    return { value, maxAge: undefined, fetchedAt: metadataFetchedAt };
  }

  async #restoreKeys(): Promise<LoadResult<Jwks> | undefined> {
    const snapshot = await this.#snapshot?.read();
    return snapshot === undefined ? undefined : { ...snapshot, value: this.#sameSet(snapshot.keySet) };
  }
}
