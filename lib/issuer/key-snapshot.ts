import { createHash } from 'node:crypto';
import { withTimeout } from '../util/timeout.js';
import type { Store } from '../store/store.js';
import { StoreMonitor } from '../store/store-monitor.js';
import type { WarningStates } from '../util/warnings.js';
import { Jwks } from './jwks.js';
import type { Clock } from '../util/clock.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { problemOfTarget, type TargetRules } from '../util/url.js';

/** The last keys of an issuer, as they are saved for the next process. Public keys only. */
export interface Snapshot {
  readonly jwksUri: string;
  readonly jwks: Jwks;
  /** Seconds since the epoch. */
  readonly fetchedAt: number;
  /** When the metadata with the address of the keys was fetched. Seconds since the epoch. */
  readonly metadataFetchedAt: number;
  /** Seconds. */
  readonly maxAge: number | undefined;
}

export interface KeySnapshotOptions extends TargetRules {
  readonly store: Store;
  /** The address of the keys, if it is configured. */
  readonly jwksUri: string | undefined;
  /** Seconds. */
  readonly maxStale: number;
  /** Deadline of one call of the store. Seconds. */
  readonly timeout: number;
  readonly clock: Clock;
  readonly states: WarningStates;
}

/**
 * Saves the last keys and reads them at startup, so that a process that starts during an outage works. Data from the store
 * is checked like data from the issuer. If the store fails, `lastError` has the reason and requests continue without it.
 */
export class KeySnapshot {
  lastError: unknown;
  readonly #options: KeySnapshotOptions;
  readonly #monitor: StoreMonitor;
  readonly #name: string;

  constructor(options: KeySnapshotOptions) {
    this.#options = options;
    const consequence = 'Requests do not depend on it, but a process that starts during an outage has no keys.';
    this.#monitor = new StoreMonitor(options.states, 'keySnapshot', consequence);
    const { issuer, metadataUrl, jwksUri } = options;
    // At a configured address, the keys do not depend on the issuer.
    const origin = JSON.stringify(jwksUri === undefined ? [issuer, metadataUrl ?? null] : [jwksUri]);
    this.#name = `keys:${createHash('sha256').update(origin).digest('base64url')}`;
  }

  async read(): Promise<Snapshot | undefined> {
    try {
      return this.#check(await this.#call('get', (store) => store.get(this.#name)));
    } catch {
      return undefined;
    }
  }

  async save({ jwksUri, jwks, fetchedAt, metadataFetchedAt, maxAge }: Snapshot): Promise<void> {
    const { issuer, maxStale } = this.#options;
    if (maxStale === 0) return;
    const saved = { version: 1, issuer, jwksUri, jwks: { keys: jwks.keys }, fetchedAt, metadataFetchedAt, maxAge };
    // `lastError` has the failure.
    await this.#call('set', (store) => store.set(this.#name, saved, maxStale)).catch(() => undefined);
  }

  async #call<T>(called: keyof Store, use: (store: Store) => Promise<T>): Promise<T> {
    const { store, timeout } = this.#options;
    try {
      const value = await withTimeout(use(store), timeout, 'the store of the key snapshot');
      if (this.#monitor.succeeded(called)) this.lastError = undefined;
      return value;
    } catch (error) {
      this.lastError = error;
      this.#monitor.failed(called, error);
      throw error;
    }
  }

  #check(saved: unknown): Snapshot | undefined {
    if (!isPlainObject(saved)) return undefined;
    const { version, issuer, jwksUri, fetchedAt, metadataFetchedAt, maxAge } = saved;
    const options = this.#options;
    if (version !== 1 || typeof jwksUri !== 'string') return undefined;
    if (options.jwksUri === undefined ? issuer !== options.issuer : jwksUri !== options.jwksUri) return undefined;
    if (options.jwksUri === undefined && problemOfTarget(jwksUri, options) !== undefined) return undefined;
    const keysSince = this.#checkTime(fetchedAt);
    const metadataSince = this.#checkTime(metadataFetchedAt);
    const jwks = Jwks.of(saved.jwks);
    if (jwks === undefined || keysSince === undefined || metadataSince === undefined) return undefined;
    return {
      jwksUri,
      jwks,
      fetchedAt: keysSince,
      metadataFetchedAt: metadataSince,
      maxAge: typeof maxAge === 'number' ? maxAge : undefined,
    };
  }

  // Not older than maxStale. If the clock that saved it was ahead, it counts as saved now.
  #checkTime(time: unknown): number | undefined {
    const now = this.#options.clock();
    if (typeof time !== 'number' || !(now < time + this.#options.maxStale)) return undefined;
    return Math.min(time, now);
  }
}
