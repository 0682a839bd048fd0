import type { Store } from '../store/store.js';
import type { Clock } from '../util/clock.js';
import { SingleFlight } from '../util/single-flight.js';
import { fetchJson, HttpError, type HttpOptions } from './http.js';
import { Jwks } from './jwks.js';
import type { KeySet, KeysHealth, KeySource } from './key-set.js';
import { KeySnapshot } from './key-snapshot.js';
import type { IssuerMetadata } from './metadata.js';
import { MetadataSource } from './metadata-source.js';
import { type LoadResult, RefreshingResource } from './refreshing-resource.js';

export interface RemoteKeySetOptions {
  readonly issuer: string;
  /** The address of the JWKS, instead of discovery. */
  readonly jwksUri: string | undefined;
  /** The issuer's metadata, if the caller needs it too; otherwise the key set makes its own. */
  readonly metadata?: MetadataSource | undefined;
  readonly allowInsecureHttp: boolean;
  readonly http: HttpOptions;
  /** Seconds. */
  readonly refreshInterval: number | undefined;
  /** Seconds. */
  readonly cooldown: number;
  /** Seconds. */
  readonly maxStale: number;
  readonly snapshot: Store | undefined;
  readonly clock: Clock;
}

/** The keys of one version of the JWKS. */
class VersionedKeys implements KeySet {
  readonly version: number;
  readonly jwks: Jwks;

  constructor(jwks: Jwks, version: number) {
    this.jwks = jwks;
    this.version = version;
  }

  get kids(): KeySet['kids'] {
    return this.jwks.keys.map(({ kid }) => kid);
  }

  find(...key: Parameters<KeySet['find']>): ReturnType<KeySet['find']> {
    return this.jwks.find(...key);
  }
}

/** The keys of an issuer, found by discovery or at a configured address, cached and refreshed. */
export class RemoteKeySet implements KeySource {
  readonly #options: RemoteKeySetOptions;
  readonly #metadata: MetadataSource | undefined;
  readonly #keys: RefreshingResource<VersionedKeys>;
  readonly #snapshot: KeySnapshot | undefined;
  readonly #reloads = new SingleFlight<KeySet>();
  #latest: VersionedKeys | undefined;
  #reloadedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RemoteKeySetOptions) {
    this.#options = options;
    const { jwksUri, http, snapshot: store } = options;
    if (store !== undefined) this.#snapshot = new KeySnapshot({ ...options, store, timeout: http.timeout });
    if (jwksUri === undefined) {
      const restore = (): Promise<LoadResult<IssuerMetadata> | undefined> => this.#restoreMetadata();
      this.#metadata = options.metadata ?? new MetadataSource({ ...options, refreshAhead: false, restore });
    }
    this.#keys = new RefreshingResource({
      ...options,
      load: (closing) => this.#load(closing),
      restore: () => this.#restore(),
      reason: 'keys_unavailable',
      refreshAhead: true,
    });
  }

  get(): Promise<KeySet> {
    return this.#keys.get();
  }

  // Callers choose key ids, so they must not choose how often the issuer is called.
  reloadForUnknownKey(): Promise<KeySet> {
    if (this.#reloads.isRunning('')) return this.#reloads.run('', () => this.#keys.get());
    const now = this.#options.clock();
    // If the clock was set back, the cooldown ends.
    const isCoolingDown = now >= this.#reloadedAt && now < this.#reloadedAt + this.#options.cooldown;
    if (isCoolingDown && !this.#keys.isFailing) return this.#keys.get();
    this.#reloadedAt = now;
    return this.#reloads.run('', () => this.#keys.reload());
  }

  current(): KeySet | undefined {
    return this.#keys.peek();
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

  async #load(closing: AbortSignal): Promise<LoadResult<VersionedKeys>> {
    const jwksUri = this.#options.jwksUri ?? (await this.#discoverJwksUri());
    const { json, maxAge } = await fetchJson(jwksUri, this.#options.http, closing);
    const value = this.#versionOf(Jwks.fetchedFrom(jwksUri, json));
    // Requests do not wait for the snapshot or depend on it. `health` reports its failure.
    const fetchedAt = this.#options.clock();
    const metadataFetchedAt = fetchedAt - (this.#metadata?.age ?? 0);
    void this.#snapshot?.save({ jwksUri, jwks: value.jwks, maxAge, fetchedAt, metadataFetchedAt });
    return { value, maxAge };
  }

  // A refresh that returns the same keys keeps the version, so that cached results stay valid.
  #versionOf(jwks: Jwks): VersionedKeys {
    if (this.#latest?.jwks.fingerprint !== jwks.fingerprint) {
      this.#latest = new VersionedKeys(jwks, (this.#latest?.version ?? 0) + 1);
    }
    return this.#latest;
  }

  async #discoverJwksUri(): Promise<string> {
    const metadata = this.#metadata;
    if (metadata === undefined) throw new TypeError('there is no metadata to discover the keys by');
    // Keys that cannot be fetched, or are not among the cached ones, may have moved.
    const isDoubtful = this.#keys.isFailing || this.#reloads.isRunning('');
    const { jwks_uri: jwksUri } = await (isDoubtful ? metadata.reload() : metadata.get());
    if (jwksUri === undefined) {
      throw new HttpError('invalid', `the metadata of ${this.#options.issuer} has no jwks_uri that may be called`);
    }
    return jwksUri;
  }

  async #restoreMetadata(): Promise<LoadResult<IssuerMetadata> | undefined> {
    const snapshot = await this.#snapshot?.read();
    if (snapshot === undefined) return undefined;
    const value = { issuer: this.#options.issuer, jwks_uri: snapshot.jwksUri };
    return { value, maxAge: undefined, fetchedAt: snapshot.metadataFetchedAt };
  }

  async #restore(): Promise<LoadResult<VersionedKeys> | undefined> {
    const snapshot = await this.#snapshot?.read();
    if (snapshot === undefined) return undefined;
    const { jwks, maxAge, fetchedAt } = snapshot;
    return { value: this.#versionOf(jwks), maxAge, fetchedAt };
  }
}
