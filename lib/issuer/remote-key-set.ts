import { UpstreamError } from '../errors.js';
import type { Store } from '../store/store.js';
import { ageClockOf, type Clock, toIsoTime } from '../util/clock.js';
import { runInBackground } from '../util/background.js';
import { isPromise } from '../util/is-promise.js';
import { SingleFlight } from '../util/single-flight.js';
import { TokenBucket } from '../util/token-bucket.js';
import type { TargetRules } from '../util/url.js';
import { fetchJson, type HttpOptions, nameOf } from './http.js';
import type { HttpError } from './http-error.js';
import { Jwks } from './jwks.js';
import type { KeySearch, KeySet, KeysHealth, KeySource } from './key-set.js';
import { KeySnapshot } from './key-snapshot.js';
import { addressIn, type IssuerMetadata } from './metadata.js';
import { MetadataSource } from './metadata-source.js';
import { type LoadResult, RefreshingResource } from './refreshing-resource.js';
import type { RequestBudget } from './request-budget.js';
import type { UpstreamMonitor } from './upstream-monitor.js';

export interface RemoteKeySetOptions extends TargetRules {
  /** The address of the JWKS, instead of discovery. */
  readonly jwksUri: string | undefined;
  /** The issuer's metadata, if the caller needs it too; otherwise the key set makes its own. */
  readonly metadata?: MetadataSource | undefined;
  readonly http: HttpOptions;
  /** Seconds. */
  readonly refreshInterval: number | undefined;
  /** Seconds. */
  readonly cooldown: number;
  /** Seconds. */
  readonly maxStale: number;
  readonly snapshot: Store | undefined;
  readonly clock: Clock;
  readonly monitor: UpstreamMonitor;
}

/**
 * How many unknown keys in a row cause a fetch; after that, one per `cooldown`. A fetch is two requests, metadata and keys,
 * so with the default cooldown a flood costs the issuer at most 12 requests in a minute.
 */
const MAX_BURST = 4;

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

// Created once and without a stack trace: an attacker chooses how many requests it is the cause for.
const FETCHED_RECENTLY: Error = Object.freeze(
  Object.assign(
    new Error('the key of the token is unknown, and the keys were fetched a short time ago (keys.cooldown)'),
    { stack: '' },
  ),
);

/** @throws UpstreamError if one of the budgets is used up. */
function takeFromAll(budgets: readonly RequestBudget[]): void {
  const wait = Math.max(...budgets.map((budget) => budget.wait));
  if (wait > 0) throw new UpstreamError('keys_unavailable', wait, { cause: FETCHED_RECENTLY });
  for (const budget of budgets) budget.take();
}

/** The keys of an issuer, found by discovery or at a configured address, cached and refreshed. */
export class RemoteKeySet implements KeySource {
  readonly #options: RemoteKeySetOptions;
  readonly #metadata: MetadataSource | undefined;
  readonly #keys: RefreshingResource<VersionedKeys>;
  readonly #snapshot: KeySnapshot | undefined;
  readonly #reloads = new SingleFlight<KeySet>();
  readonly #budget: TokenBucket;
  #latest: VersionedKeys | undefined;
  /** How many fetches have started, and the number of the last one that succeeded. */
  #fetches = 0;
  #lastFetch = 0;

  constructor(options: RemoteKeySetOptions) {
    this.#options = options;
    const { jwksUri, http, cooldown, clock, snapshot: store, monitor } = options;
    monitor.served ??= () => this.describeUse();
    this.#budget = new TokenBucket({ capacity: MAX_BURST, interval: cooldown, clock: ageClockOf(clock) });
    if (store !== undefined) {
      this.#snapshot = new KeySnapshot({ ...options, store, timeout: http.timeout, states: monitor.states });
    }
    if (jwksUri === undefined) {
      const restore = (): Promise<LoadResult<IssuerMetadata> | undefined> => this.#restoreMetadata();
      this.#metadata =
        options.metadata ?? new MetadataSource({ ...options, needed: 'jwks_uri', refreshAhead: false, restore });
    }
    this.#keys = new RefreshingResource({
      ...options,
      load: (closing) => this.#load(closing),
      restore: () => this.#restore(),
      reason: 'keys_unavailable',
      document: 'keys',
      refreshAhead: true,
    });
  }

  get(): KeySet | Promise<KeySet> {
    const keys = this.#keys.get();
    if (isPromise(keys)) return this.#noteUseOf(keys);
    this.#noteStaleUse();
    return keys;
  }

  get fetches(): number {
    return this.#fetches;
  }

  reloadForUnknownKey(tried: KeySet, { since, budget }: KeySearch): Promise<KeySet> {
    const current = this.#keys.peek();
    const isNewer = current?.version !== tried.version || this.#lastFetch > since;
    if (current !== undefined && isNewer) return Promise.resolve(current);
    const budgets = budget === undefined ? [this.#budget] : [this.#budget, budget];
    return this.#reloads.run('', () => this.#reloadWithin(budgets, tried));
  }

  current(): KeySet | undefined {
    const keys = this.#keys.peek();
    this.#noteStaleUse();
    return keys;
  }

  async ready(): Promise<void> {
    await this.#keys.get();
  }

  health(): KeysHealth {
    const snapshotError = this.#snapshot?.lastError;
    const keys = this.#keys.health();
    return {
      isReady: keys.state !== 'unavailable',
      keys,
      ...(this.#metadata === undefined ? {} : { metadata: this.#metadata.health() }),
      ...(snapshotError === undefined ? {} : { snapshotError }),
    };
  }

  /** Says in one sentence what requests receive while the keys cannot be fetched. */
  describeUse(): string {
    const { usableUntil } = this.#keys.health();
    return usableUntil === undefined
      ? 'There are no cached keys, so requests with a token receive 503.'
      : `The cached keys stay in use until ${toIsoTime(usableUntil)}.`;
  }

  endPause(): void {
    this.#metadata?.endPause();
    this.#keys.endPause();
  }

  /** Ends the fetches in progress. */
  abortLoads(reason: HttpError): void {
    this.#metadata?.abortLoads(reason);
    this.#keys.abortLoad(reason);
  }

  close(): void {
    this.#keys.close();
    this.#metadata?.close();
  }

  async #noteUseOf(pending: Promise<KeySet>): Promise<KeySet> {
    const keys = await pending;
    this.#noteStaleUse();
    return keys;
  }

  #noteStaleUse(): void {
    if (this.#keys.isStale) this.#options.monitor.staleKeysUsed();
  }

  // Callers choose key ids and signatures, so they must not choose how often the issuer is called. Without a token left, it
  // is unknown whether the issuer has the key: that is a 503, because a 401 would reject valid tokens after a rotation.
  async #reloadWithin(budgets: readonly RequestBudget[], tried: KeySet): Promise<KeySet> {
    if (this.#keys.isLoading) {
      // This refresh may have started before the key was published, so only new keys count.
      const refreshed = await this.#keys.reload();
      if (refreshed.version !== tried.version) return refreshed;
    }
    // After failures the backoff limits the requests.
    if (!this.#keys.isFailing) takeFromAll(budgets);
    // The keys may have moved, while their old address still responds.
    if (!this.#keys.isPaused) await this.#metadata?.reload();
    return this.#keys.reload();
  }

  async #load(closing: AbortSignal): Promise<LoadResult<VersionedKeys>> {
    const started = ++this.#fetches;
    const { jwksUri: configured, http: options } = this.#options;
    const jwksUri = configured ?? (await this.#discoverJwksUri());
    const http = configured === undefined ? { ...options, discoveredAs: 'jwks_uri' } : options;
    const { json, maxAge } = await fetchJson(jwksUri, http, closing);
    const value = this.#versionOf(await Jwks.fetchedFrom(nameOf(jwksUri, http), json, this.#latest?.jwks));
    this.#lastFetch = started;
    // Requests do not wait for the snapshot or depend on it. `health` reports its failure.
    const fetchedAt = this.#options.clock();
    const metadataFetchedAt = fetchedAt - (this.#metadata?.age ?? 0);
    runInBackground(
      () => void this.#snapshot?.save({ jwksUri, jwks: value.jwks, maxAge, fetchedAt, metadataFetchedAt }),
    );
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
    if (metadata === undefined) throw new TypeError('there is no metadata from which the keys could be discovered');
    // Keys that cannot be fetched may have moved.
    return addressIn(await (this.#keys.isFailing ? metadata.reload() : metadata.get()), 'jwks_uri');
  }

  async #restoreMetadata(): Promise<LoadResult<IssuerMetadata> | undefined> {
    const snapshot = await this.#snapshot?.read();
    if (snapshot === undefined) return undefined;
    const value = { issuer: this.#options.issuer, jwks_uri: snapshot.jwksUri };
    return { value, maxAge: undefined, age: this.#options.clock() - snapshot.metadataFetchedAt };
  }

  async #restore(): Promise<LoadResult<VersionedKeys> | undefined> {
    const snapshot = await this.#snapshot?.read();
    if (snapshot === undefined || !(await snapshot.jwks.hasUsableKey())) return undefined;
    const { jwks, maxAge, fetchedAt } = snapshot;
    return { value: this.#versionOf(jwks), maxAge, age: this.#options.clock() - fetchedAt };
  }
}
