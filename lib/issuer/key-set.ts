import type { KeyObject } from 'node:crypto';
import type { RequestBudget } from './request-budget.js';
import type { HttpError } from './http-error.js';
import type { ResourceHealth } from './refreshing-resource.js';

/** The keys of one moment. */
export interface KeySet {
  /** Changes exactly when the keys change, so a result that was verified with this version is still valid. */
  readonly version: number;
  /** Returns the keys that may have signed a token with this algorithm and key id. A promise only while they are imported. */
  find(alg: string, kid: string | undefined): readonly KeyObject[] | Promise<readonly KeyObject[]>;
  /** The ids of all keys, for people who look for a cause. */
  readonly kids: readonly (string | undefined)[];
}

/** The search for the key of one token. */
export interface KeySearch {
  /** How many fetches had started when the search began. */
  readonly since: number;
  /** Limits the fetches of several key sets together. */
  readonly budget: RequestBudget | undefined;
}

/** Provides a verifier with keys. */
export interface KeySource {
  /** A promise only if the keys must be fetched. It rejects with an UpstreamError if there are none that may be used. */
  get(): KeySet | Promise<KeySet>;
  /**
   * Fetches the keys again because none of the given ones verifies a token, unless they were fetched for this token. How often
   * is limited.
   *
   * @throws UpstreamError if the issuer is unavailable, or the limit is reached.
   */
  reloadForUnknownKey(tried: KeySet, search: KeySearch): Promise<KeySet>;
  /** How many fetches have started. */
  readonly fetches: number;
  /** Returns what `get` would return, but only if that does not need to wait. */
  current(): KeySet | undefined;
  ready(): Promise<void>;
  health(): KeysHealth;
  /** Ends the pause after failed fetches, unless the server requested it; `undefined` if nothing is ever fetched. */
  endPause?(): void;
  /** Ends the fetches in progress; `undefined` if nothing is ever fetched. */
  abortLoads?(reason: HttpError): void;
  close(): void;
}

/** Age and freshness of an issuer's documents. Keys from the options are always `fresh`. */
export interface KeysHealth {
  /** Whether there are keys that tokens can be verified with, fresh or stale. */
  readonly isReady: boolean;
  readonly keys: ResourceHealth;
  /** Only if the address of the keys comes from discovery. */
  readonly metadata?: ResourceHealth | undefined;
  /** Why the `keySnapshot` could not be read or saved the last time. Requests do not depend on it. */
  readonly snapshotError?: unknown;
}

/** How the keys of an issuer are cached and refreshed. */
export interface KeyOptions {
  /**
   * How long keys are fresh, whatever the issuer's `Cache-Control` says. They are refreshed in the background before
   * that time ends. Seconds, 1 to 86,400. @default the response's `max-age`, limited to 60 to 86,400; without one, 600
   */
  refreshInterval?: number | undefined;
  /**
   * Tokens with an unknown key cause a fetch of the keys: at most 4 in a burst, then one per `cooldown`. Until the next one
   * is allowed, such tokens get a 503 with `Retry-After`. Seconds, 1 to 3,600. @default 30
   */
  cooldown?: number | undefined;
  /**
   * How long cached keys may still be used after they stopped being fresh, while the issuer is unavailable. Seconds, 0
   * (never) to 604,800. @default 86400
   */
  maxStale?: number | undefined;
  /** Deadline of one request to the issuer, body included, and of one call of the `keySnapshot`. Seconds, 0.1 to 60. @default 5 */
  timeout?: number | undefined;
  /** Whether metadata and keys are fetched in the background when the verifier is created. @default true */
  prefetch?: boolean | undefined;
  /** Maximum size of one response of the issuer. Bytes, 1,024 to 16,777,216. @default 1048576 */
  maxBytes?: number | undefined;
}

/** Keys that come from the options and never change: a JWKS or a secret. */
export class StaticKeySet implements KeySource {
  readonly fetches = 0;
  readonly #keys: KeySet;

  constructor(find: KeySet['find'], kids: KeySet['kids'] = []) {
    this.#keys = { version: 0, find, kids };
  }

  get(): KeySet {
    return this.#keys;
  }

  reloadForUnknownKey(): Promise<KeySet> {
    return Promise.resolve(this.#keys);
  }

  current(): KeySet {
    return this.#keys;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  health(): KeysHealth {
    return { isReady: true, keys: { age: 0, state: 'fresh', failures: 0 } };
  }

  close(): void {
    // There is nothing to close.
  }
}
