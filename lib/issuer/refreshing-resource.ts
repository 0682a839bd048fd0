import { UpstreamError } from '../errors.js';
import type { UpstreamReason } from '../reasons.js';
import { withTimeout } from '../util/timeout.js';
import { BoundedCache } from '../util/bounded-cache.js';
import { Backoff } from '../util/backoff.js';

/** What a load brought. */
export interface LoadResult<T> {
  readonly value: T;
  /** For how long the server calls it fresh. Seconds. */
  readonly maxAge: number | undefined;
  /** Where that was not just now. Seconds since the epoch. */
  readonly fetchedAt?: number | undefined;
}

export interface RefreshingResourceOptions<T> {
  /** Fetches the document. The signal is aborted when nobody waits any more. */
  readonly load: (closing: AbortSignal) => Promise<LoadResult<T>>;
  /** What an earlier process has left, if anything: looked for before the first load, and where a load failed. */
  readonly restore: () => Promise<LoadResult<T> | undefined>;
  /** How the failure is called where there is nothing to serve. */
  readonly reason: UpstreamReason;
  /** Seconds since the epoch. */
  readonly clock: () => number;
  /** Fresh for that long whatever the server says. Seconds. */
  readonly refreshInterval: number | undefined;
  /** How long a value that cannot be refreshed still serves after it was fresh. Seconds. */
  readonly maxStale: number;
  /** Whether it is refreshed by timer; otherwise only when somebody gets it. */
  readonly refreshAhead: boolean;
}

/** The state of a kept document, for a readiness probe. */
export interface ResourceHealth {
  /** Seconds since it was fetched; `undefined` where there is none that may serve. */
  readonly age: number | undefined;
  /** `fresh`; `stale`, overdue and still served while it cannot be refreshed; `unavailable`, too old or never had. */
  readonly state: 'fresh' | 'stale' | 'unavailable';
  /** Failed attempts since the last good one. */
  readonly failures: number;
}

interface Entry<T> {
  readonly value: T;
  /** Seconds since the epoch. */
  readonly fetchedAt: number;
  /** Seconds since the epoch. */
  readonly freshUntil: number;
}

const DOCUMENT = 'document';
/** How long a request waits for an attempt after a failed one. Seconds. */
const RETRY_WAIT = 1;
const MIN_FRESH = 60;
const MAX_FRESH = 86_400;
const DEFAULT_FRESH = 600;

/** How long a document is fresh: its `max-age` within limits. Seconds. */
export function freshFor(maxAge = DEFAULT_FRESH): number {
  return Math.min(MAX_FRESH, Math.max(MIN_FRESH, maxAge));
}

/**
 * A document of the issuer's, kept alive: fetched once however many ask, refreshed in the background before it grows
 * old, served on while it cannot be refreshed, asked for less and less often while that fails.
 */
export class RefreshingResource<T> {
  readonly #options: RefreshingResourceOptions<T>;
  readonly #backoff: Backoff;
  readonly #memory: BoundedCache<Entry<T>>;
  readonly #closing = new AbortController();
  #loading: Promise<T> | undefined;
  #restoring: Promise<void> | undefined;
  #lastError: unknown;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RefreshingResourceOptions<T>) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
    this.#memory = new BoundedCache({ maxEntries: 1, clock: options.clock });
  }

  /** What can be served without waiting: fresh, or overdue after a refresh was tried and failed. */
  peek(): T | undefined {
    const entry = this.#memory.get(DOCUMENT);
    if (entry === undefined) return undefined;
    return this.isFailing || this.#options.clock() < entry.freshUntil ? entry.value : undefined;
  }

  /** The value, waiting for it where there is none to serve. An `UpstreamError` where it cannot be had. */
  async get(): Promise<T> {
    const value = this.peek();
    if (value === undefined) return this.#wait();
    // The timer does this, unless it is late: a process may have been frozen.
    if (this.isFailing && this.#backoff.wait === 0) this.#reloadInBackground();
    return value;
  }

  /** Whether the last attempt failed. */
  get isFailing(): boolean {
    return this.#backoff.failures > 0;
  }

  /** Asks the issuer now, whatever is kept; an `UpstreamError`, at once while attempts are backing off, if that fails. */
  reload(): Promise<T> {
    if (this.#loading !== undefined) return this.#loading;
    if (this.#backoff.wait > 0) return Promise.reject(this.#error());
    this.#loading = this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  health(): ResourceHealth {
    const entry = this.#memory.get(DOCUMENT);
    const { failures } = this.#backoff;
    if (entry === undefined) return { age: undefined, state: 'unavailable', failures };
    const now = this.#options.clock();
    return { age: now - entry.fetchedAt, state: now < entry.freshUntil ? 'fresh' : 'stale', failures };
  }

  /** Ends the refreshing and whatever is being fetched. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closing.abort();
  }

  async #wait(): Promise<T> {
    await (this.#restoring ??= this.#restore());
    const restored = this.peek();
    if (restored !== undefined) return restored;
    try {
      // A server that has failed before may hang as well: no crowd waits for that.
      return await (this.isFailing ? withTimeout(this.reload(), RETRY_WAIT, 'the server') : this.reload());
    } catch {
      // Having failed, what is overdue may serve. Why it failed is kept as state.
      const stale = this.peek();
      if (stale === undefined) throw this.#error();
      return stale;
    }
  }

  async #load(): Promise<T> {
    try {
      const loaded = await this.#options.load(this.#closing.signal);
      this.#keep(loaded);
      this.#backoff.succeeded();
      this.#lastError = undefined;
      return loaded.value;
    } catch (error) {
      this.#failed(error);
      // What was left may have been out of reach as well when it was first looked for.
      if (this.#memory.get(DOCUMENT) === undefined) await this.#restore();
      throw this.#error();
    }
  }

  async #restore(): Promise<void> {
    const restored = await this.#options.restore();
    if (restored !== undefined) this.#keep(restored);
  }

  #keep({ value, maxAge, fetchedAt = this.#options.clock() }: LoadResult<T>): void {
    const { clock, maxStale, refreshInterval } = this.#options;
    const freshUntil = fetchedAt + (refreshInterval ?? freshFor(maxAge));
    this.#memory.set(DOCUMENT, { value, fetchedAt, freshUntil }, freshUntil + maxStale);
    const left = Math.max(0, freshUntil - clock());
    // Ahead of time, so that no request waits; at no fixed time, so that a fleet does not arrive together.
    this.#schedule(left * (0.75 + Math.random() * 0.15));
  }

  #failed(error: unknown): void {
    this.#lastError = error;
    this.#schedule(this.#backoff.failed() * (1 + Math.random() * 0.1));
  }

  #schedule(seconds: number): void {
    clearTimeout(this.#timer);
    if (!this.#options.refreshAhead || this.#closing.signal.aborted) return;
    const pause = Math.max(seconds, this.#backoff.wait);
    this.#timer = setTimeout(() => {
      this.#reloadInBackground();
    }, pause * 1000);
    this.#timer.unref();
  }

  #reloadInBackground(): void {
    // A failure is kept as state and told to whoever asks next; there is nobody to tell here.
    this.reload().catch(() => undefined);
  }

  #error(): UpstreamError {
    const cause = this.#lastError;
    const reason = cause instanceof UpstreamError ? cause.reason : this.#options.reason;
    return new UpstreamError(reason, this.#backoff.wait, { cause });
  }
}
