import NodeCache from 'node-cache';
import { UpstreamError } from '../errors.js';
import type { UpstreamReason } from '../reasons.js';
import { withTimeout } from '../util/timeout.js';
import { runInBackground } from '../util/background.js';
import { ageClockOf, type Clock, resultClockOf } from '../util/clock.js';
import { startTimer } from '../util/timer.js';
import { HttpError } from './http-error.js';
import { Backoff } from '../util/backoff.js';
import type { IssuerDocument, UpstreamMonitor } from './upstream-monitor.js';

/** The result of a load. */
export interface LoadResult<T> {
  readonly value: T;
  /** How long the server says that it is fresh. Seconds. */
  readonly maxAge: number | undefined;
  /** Seconds since it was fetched. @default 0 */
  readonly age?: number | undefined;
}

export interface RefreshingResourceOptions<T> {
  /** Fetches the document. The signal is aborted by `close`. */
  readonly load: (closing: AbortSignal) => Promise<LoadResult<T>>;
  /** Reads what an earlier process saved: before the first load, and after a failed one. */
  readonly restore: () => Promise<LoadResult<T> | undefined>;
  /** The reason of the `UpstreamError` if there is no usable document. */
  readonly reason: UpstreamReason;
  readonly clock: Clock;
  /** How long a document is fresh, whatever the server says. Seconds. */
  readonly refreshInterval: number | undefined;
  /** How long a document may still be used after it stopped being fresh. Seconds. */
  readonly maxStale: number;
  /** Whether a timer refreshes it; otherwise only `get` does. */
  readonly refreshAhead: boolean;
  readonly document: IssuerDocument;
  readonly monitor: UpstreamMonitor;
}

/** The state of a cached document, for a readiness probe. */
export interface ResourceHealth {
  /** Seconds since it was fetched; `undefined` without a usable document. */
  readonly age: number | undefined;
  /** `stale`: no longer fresh, but still used because it cannot be refreshed. `unavailable`: too old, or never fetched. */
  readonly state: 'fresh' | 'stale' | 'unavailable';
  /** Failed attempts since the last success. */
  readonly failures: number;
  /** Why the last attempt failed; `undefined` after a success. */
  readonly lastError?: unknown;
  /** Until when it can be used without a refresh. Seconds since the epoch; `undefined` without a usable document. */
  readonly usableUntil?: number | undefined;
}

interface Entry<T> {
  readonly value: T;
  /** By the clock for ages. */
  readonly fetchedAt: number;
  /** By the clock for ages. */
  readonly freshUntil: number;
  /** By the clock for ages. */
  readonly usableUntil: number;
}

const DOCUMENT = 'document';
/** How long a request waits for the next attempt after a failed one. Seconds. */
const RETRY_WAIT = 1;
const MIN_FRESH = 60;
const MAX_FRESH = 86_400;
const DEFAULT_FRESH = 600;

/** How long a document is fresh: its `max-age` within limits. Seconds. */
export function freshFor(maxAge = DEFAULT_FRESH): number {
  return Math.min(MAX_FRESH, Math.max(MIN_FRESH, maxAge));
}

/**
 * A cached document of the issuer. Concurrent requests cause one fetch. It is refreshed in the background before it stops
 * being fresh, stays in use while a refresh fails, and failed fetches back off.
 */
export class RefreshingResource<T> {
  readonly #options: RefreshingResourceOptions<T>;
  readonly #clock: Clock;
  readonly #resultClock: Clock;
  readonly #backoff: Backoff;
  #isClosed = false;
  /** Ends the load in progress. */
  #aborting = new AbortController();
  // No clones, because values are frozen. No timer, because expiry follows the clock of the options.
  readonly #cache = new NodeCache({ useClones: false, checkperiod: 0 });
  #loading: Promise<T> | undefined;
  #restoring: Promise<void> | undefined;
  #lastError: unknown;
  /** When a value that is fresh is fetched again, also without the timer. By the clock for results. */
  #reloadBy = Number.POSITIVE_INFINITY;
  #stopTimer: () => void = () => undefined;

  constructor(options: RefreshingResourceOptions<T>) {
    this.#options = options;
    this.#clock = ageClockOf(options.clock);
    this.#resultClock = resultClockOf(options.clock);
    this.#backoff = new Backoff(this.#clock);
  }

  /** Returns the value if no wait is necessary: it is fresh, or it is stale and a refresh has failed. */
  peek(): T | undefined {
    const now = this.#clock();
    const entry = this.#usable(now);
    if (entry === undefined) return undefined;
    return this.isFailing || now < entry.freshUntil ? entry.value : undefined;
  }

  /** Returns the value; a promise if it must be fetched, which rejects with an UpstreamError if it is unavailable. */
  get(): T | Promise<T> {
    const value = this.peek();
    if (value === undefined) return this.#wait();
    // Normally the timer does this. It is late if the process was frozen, or the machine slept.
    const isLate = this.isFailing || this.#resultClock() >= this.#reloadBy;
    if (isLate && this.#backoff.wait === 0) this.#reloadInBackground();
    return value;
  }

  get isLoading(): boolean {
    return this.#loading !== undefined;
  }

  /** Whether attempts pause after failures. */
  get isPaused(): boolean {
    return this.#backoff.wait > 0;
  }

  /** Whether the last attempt failed. */
  get isFailing(): boolean {
    return this.#backoff.failures > 0;
  }

  /** Whether the value is no longer fresh, but used because a refresh failed. */
  get isStale(): boolean {
    return this.isFailing && this.health().state === 'stale';
  }

  /** Fetches the document now. @throws UpstreamError if that fails; immediately during a pause after failures. */
  reload(): Promise<T> {
    if (this.#loading !== undefined) return this.#loading;
    if (this.#backoff.wait > 0) return Promise.reject(this.#error());
    this.#loading = this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  health(): ResourceHealth {
    const now = this.#clock();
    const entry = this.#usable(now);
    const { failures } = this.#backoff;
    const failure = failures === 0 ? {} : { lastError: this.#lastError };
    if (entry === undefined) return { age: undefined, state: 'unavailable', failures, ...failure };
    const usableUntil = this.#options.clock() + (entry.usableUntil - now);
    const state = now < entry.freshUntil ? 'fresh' : 'stale';
    return { age: now - entry.fetchedAt, state, failures, usableUntil, ...failure };
  }

  /** Allows an attempt now, unless the server requested a pause, or a value can be used without one. */
  endPause(): void {
    const isUsable = this.#usable(this.#clock()) !== undefined;
    if (!isUsable && !isPauseRequested(this.#lastError)) this.#backoff.reset();
  }

  /** Ends the refreshes, and aborts a fetch in progress. */
  close(): void {
    this.#isClosed = true;
    this.#stopTimer();
    this.#aborting.abort();
  }

  /** Ends the fetch in progress, which fails with this error. */
  abortLoad(reason: HttpError): void {
    this.#aborting.abort(reason);
  }

  #usable(now: number): Entry<T> | undefined {
    const entry = this.#cache.get<Entry<T>>(DOCUMENT);
    return entry !== undefined && now < entry.usableUntil ? entry : undefined;
  }

  async #wait(): Promise<T> {
    await (this.#restoring ??= this.#restore());
    const restored = this.peek();
    if (restored !== undefined) return restored;
    try {
      // A server that failed may also hang. Requests must not pile up behind that.
      return await (this.isFailing ? withTimeout(this.reload(), RETRY_WAIT, 'the server') : this.reload());
    } catch {
      // After a failed refresh a stale value may be used. `health` reports the failure.
      const stale = this.peek();
      if (stale === undefined) throw this.#error();
      return stale;
    }
  }

  async #load(): Promise<T> {
    const { document, monitor } = this.#options;
    try {
      if (!this.#isClosed) this.#aborting = new AbortController();
      const loaded = await this.#options.load(this.#aborting.signal);
      this.#store(loaded);
      this.#backoff.reset();
      this.#lastError = undefined;
      monitor.fetched(document);
      return loaded.value;
    } catch (error) {
      this.#failed(error);
      // The saved document may have been unreachable when it was first read.
      if (this.#usable(this.#clock()) === undefined) await this.#restore();
      if (!this.#isClosed) monitor.fetchFailed(document, error);
      throw this.#error();
    }
  }

  async #restore(): Promise<void> {
    const restored = await this.#options.restore();
    if (restored !== undefined) this.#store(restored);
  }

  #store({ value, maxAge, age = 0 }: LoadResult<T>): void {
    const { maxStale, refreshInterval } = this.#options;
    const fetchedAt = this.#clock() - age;
    const freshUntil = fetchedAt + (refreshInterval ?? freshFor(maxAge));
    const entry: Entry<T> = { value, fetchedAt, freshUntil, usableUntil: freshUntil + maxStale };
    this.#cache.set(DOCUMENT, entry);
    const left = Math.max(0, freshUntil - this.#clock());
    this.#reloadBy = this.#resultClock() + left;
    // Early, so that no request waits. At a random time, so that the processes of a fleet do not call together.
    this.#schedule(left * (0.75 + Math.random() * 0.15));
  }

  #failed(error: unknown): void {
    this.#lastError = error;
    this.#schedule(this.#backoff.failed(requestedPause(error)) * (1 + Math.random() * 0.1));
  }

  #schedule(seconds: number): void {
    this.#stopTimer();
    if (!this.#options.refreshAhead || this.#isClosed) return;
    const pause = Math.max(seconds, this.#backoff.wait);
    this.#stopTimer = RefreshingResource.#startTimer(new WeakRef<RefreshingResource<unknown>>(this), pause);
  }

  // The timer has a weak reference to the resource, so that an unused verifier is garbage-collected and stops fetching.
  // Static, so that the callback has no reference to `this`.
  static #startTimer(owner: WeakRef<RefreshingResource<unknown>>, seconds: number): () => void {
    const reload = (): void => {
      const resource = owner.deref();
      if (resource !== undefined) resource.#reloadInBackground();
    };
    return runInBackground(() => startTimer(seconds, reload));
  }

  #reloadInBackground(): void {
    // The next call of `get` reports a failure.
    runInBackground(() => this.reload()).catch(() => undefined);
  }

  #error(): UpstreamError {
    const cause = this.#lastError;
    // The document that this one depends on failed: one error is enough.
    if (cause instanceof UpstreamError) {
      return new UpstreamError(cause.reason, this.#backoff.wait, { cause: cause.cause });
    }
    return new UpstreamError(this.#options.reason, this.#backoff.wait, { cause });
  }
}

/** Whether the server requested a pause with its last response. */
function isPauseRequested(error: unknown): boolean {
  const failure = error instanceof UpstreamError ? error.cause : error;
  return failure instanceof HttpError && failure.retryAfter !== undefined;
}

/** The pause that the server requested, or the pause of the document that this one depends on. Seconds. */
function requestedPause(error: unknown): number | undefined {
  return error instanceof HttpError || error instanceof UpstreamError ? error.retryAfter : undefined;
}
