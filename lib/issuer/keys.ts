import type { KeyObject } from 'node:crypto';
import { HttpError, fetchJson, type HttpOptions } from './http.js';
import { Kept, type KeptHealth } from './kept.js';
import { KeySet } from './key-set.js';
import { fetchMetadata, type IssuerMetadata } from './metadata.js';

/** Where a verifier gets the keys that a token may have been signed with. */
export interface KeySource {
  /** The keys that are meant by algorithm and key id. An `UpstreamError` where the issuer's keys cannot be had. */
  find(alg: string, kid: string | undefined): Promise<readonly KeyObject[]>;
  /** The same without those already tried, after asking the issuer anew, as often as that is allowed. */
  findAgain(alg: string, kid: string | undefined, tried: readonly KeyObject[]): Promise<readonly KeyObject[]>;
  /** What the answers rest on at the moment, without waiting; `undefined` where that would need waiting. */
  current(): unknown;
  ready(): Promise<void>;
  health(): KeysHealth;
  close(): void;
}

/** Age and freshness of an issuer's documents. Keys that were handed in are always `fresh`. */
export interface KeysHealth {
  readonly keys: KeptHealth;
  /** Where the keys' address comes from discovery. */
  readonly metadata?: KeptHealth;
}

/** How an issuer's keys are kept. */
export interface KeyOptions {
  /**
   * How long keys are fresh, whatever the issuer's `Cache-Control` says. Seconds, 1 to 86,400. By default the answer's
   * `max-age`, kept within 60 and 86,400, or 600 without one. They are refreshed in the background before that ends.
   */
  refreshInterval?: number;
  /** Least time between two fetches for the sake of an unknown key id. Seconds, 1 to 3,600. @default 30 */
  cooldown?: number;
  /**
   * How long the last good keys still serve when the issuer cannot be reached. Seconds, 0 (never) to 604,800.
   * @default 86400
   */
  maxStale?: number;
  /** Deadline for one exchange with the issuer, body included. Seconds, 0.1 to 60. @default 5 */
  timeout?: number;
  /** Cap on one answer of the issuer's. Bytes, 1,024 to 16,777,216. @default 1048576 */
  maxBytes?: number;
}

/** Keys that are at hand: a JWKS or a secret from the options. */
export class FixedKeys implements KeySource {
  readonly #find: KeySource['find'];

  constructor(find: KeySource['find']) {
    this.#find = find;
  }

  find(alg: string, kid: string | undefined): Promise<readonly KeyObject[]> {
    return this.#find(alg, kid);
  }

  findAgain(): Promise<readonly KeyObject[]> {
    return Promise.resolve([]);
  }

  current(): unknown {
    return this;
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

export interface RemoteKeysOptions {
  readonly issuer: string;
  /** Instead of discovery. */
  readonly jwksUri: string | undefined;
  readonly allowInsecureHttp: boolean;
  readonly http: HttpOptions;
  readonly refreshInterval: number | undefined;
  readonly cooldown: number;
  readonly maxStale: number;
  readonly clock: () => number;
}

/** The issuer's keys, found by its metadata or at a configured address, and kept alive. */
export class RemoteKeys implements KeySource {
  readonly #options: RemoteKeysOptions;
  readonly #metadata: Kept<IssuerMetadata> | undefined;
  readonly #keys: Kept<KeySet>;
  #lastSet: KeySet | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<KeySet> | undefined;

  constructor(options: RemoteKeysOptions) {
    this.#options = options;
    const { clock, refreshInterval, maxStale } = options;
    if (options.jwksUri === undefined) {
      // Not refreshed by a timer of its own: whenever keys are, it is looked at first.
      this.#metadata = new Kept({
        load: (closing) => this.#loadMetadata(closing),
        reason: 'metadata_unavailable',
        clock,
        refreshInterval,
        maxStale,
        ahead: false,
      });
    }
    this.#keys = new Kept({
      load: (closing) => this.#loadKeys(closing),
      reason: 'keys_unavailable',
      clock,
      refreshInterval,
      maxStale,
      ahead: true,
    });
  }

  async find(alg: string, kid: string | undefined): Promise<readonly KeyObject[]> {
    return (await this.#keys.get()).find(alg, kid);
  }

  async findAgain(alg: string, kid: string | undefined, tried: readonly KeyObject[]): Promise<readonly KeyObject[]> {
    const keys = await (await this.#ask()).find(alg, kid);
    return keys.filter((key) => !tried.includes(key));
  }

  current(): unknown {
    return this.#keys.peek();
  }

  async ready(): Promise<void> {
    await this.#keys.get();
  }

  health(): KeysHealth {
    const keys = this.#keys.health();
    return this.#metadata === undefined ? { keys } : { keys, metadata: this.#metadata.health() };
  }

  close(): void {
    this.#keys.close();
    this.#metadata?.close();
  }

  // Callers choose key ids, so they must not choose how often the issuer is asked. Only these fetches count for the
  // cooldown: a key that is rotated right after a scheduled refresh is found at once.
  #ask(): Promise<KeySet> {
    if (this.#asking !== undefined) return this.#asking;
    const now = this.#options.clock();
    if (now < this.#askedAt + this.#options.cooldown && !this.#keys.failing) return this.#keys.get();
    this.#askedAt = now;
    this.#asking = this.#keys.renew().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #loadMetadata(closing: AbortSignal): Promise<{ value: IssuerMetadata; maxAge: number | undefined }> {
    const { issuer, allowInsecureHttp, http } = this.#options;
    const { json, maxAge } = await fetchMetadata(issuer, allowInsecureHttp, http, closing);
    return { value: json, maxAge };
  }

  async #loadKeys(closing: AbortSignal): Promise<{ value: KeySet; maxAge: number | undefined }> {
    const url = this.#options.jwksUri ?? (await this.#discoverJwksUri());
    const { json, maxAge } = await fetchJson(url, this.#options.http, closing);
    const fetched = KeySet.fetchedFrom(url, json);
    // The same keys stay the same set, so that what rests on them need not be verified again.
    const value = this.#lastSet?.fingerprint === fetched.fingerprint ? this.#lastSet : fetched;
    this.#lastSet = value;
    return { value, maxAge };
  }

  async #discoverJwksUri(): Promise<string> {
    const metadata = this.#metadata;
    if (metadata === undefined) throw new TypeError('there is no metadata to discover the keys by');
    // Keys that cannot be had where they were may have moved.
    const found = await (this.#keys.failing ? metadata.renew().catch(() => metadata.get()) : metadata.get());
    if (found.jwks_uri === undefined) {
      throw new HttpError('invalid', `the metadata of ${this.#options.issuer} has no jwks_uri`);
    }
    return found.jwks_uri;
  }
}
