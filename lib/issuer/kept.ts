import { UpstreamError, type UpstreamReason } from '../errors.js';

/** What a load brought. */
export interface Loaded<T> {
  readonly value: T;
  /** For how long the server calls it fresh. Seconds. */
  readonly maxAge: number | undefined;
  /** Where that was not just now. Seconds since the epoch. */
  readonly fetchedAt?: number;
}

export interface KeptOptions<T> {
  /** Fetches the document. The signal is aborted when nobody waits any more. */
  readonly load: (closing: AbortSignal) => Promise<Loaded<T>>;
  /** What an earlier process has left, if anything: looked at once, before the first load. */
  readonly restore: () => Promise<Loaded<T> | undefined>;
  /** How the failure is called where there is nothing to serve. */
  readonly reason: UpstreamReason;
  /** Seconds since the epoch. */
  readonly clock: () => number;
  /** Fresh for that long whatever the server says. Seconds. */
  readonly refreshInterval: number | undefined;
  /** How long a value that cannot be refreshed still serves after it was fresh. Seconds. */
  readonly maxStale: number;
  /** Whether it is refreshed by timer; otherwise only when somebody gets it. */
  readonly ahead: boolean;
}

/** The state of a kept document, for a readiness probe. */
export interface KeptHealth {
  /** Seconds since it was fetched; `undefined` where it never was. */
  readonly age: number | undefined;
  /** `fresh`; `stale`, overdue and still served while it cannot be refreshed; `unavailable`, too old or never had. */
  readonly state: 'fresh' | 'stale' | 'unavailable';
  /** Failed attempts since the last good one. */
  readonly failures: number;
}

const LEAST_FRESH = 60;
const MOST_FRESH = 86_400;
const DEFAULT_FRESH = 600;
const LEAST_BACKOFF = 1;
const MOST_BACKOFF = 30;

/**
 * A document of the issuer's, kept alive: fetched once however many ask, refreshed in the background before it grows
 * old, served on while it cannot be refreshed, asked for less and less often while that fails.
 */
export class Kept<T> {
  readonly #options: KeptOptions<T>;
  readonly #closing = new AbortController();
  #entry: { value: T; fetchedAt: number; freshUntil: number } | undefined;
  #loading: Promise<T> | undefined;
  #restoring: Promise<void> | undefined;
  #failures = 0;
  #retryAt = 0;
  #lastError: unknown;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: KeptOptions<T>) {
    this.#options = options;
  }

  /** What can be served without waiting: fresh, or overdue after a refresh was tried and failed. */
  peek(): T | undefined {
    const entry = this.#entry;
    if (entry === undefined) return undefined;
    const now = this.#options.clock();
    if (now < entry.freshUntil) return entry.value;
    return this.#failures > 0 && now < entry.freshUntil + this.#options.maxStale ? entry.value : undefined;
  }

  /** The value, waiting for it where there is none to serve. An `UpstreamError` where it cannot be had. */
  async get(): Promise<T> {
    if (this.#entry === undefined) await (this.#restoring ??= this.#restore());
    const value = this.peek();
    if (value === undefined) return this.renew().catch((error: unknown) => this.#stale(error));
    // The timer does this, unless it is late: a process may have been frozen.
    if (this.#failures > 0) this.#renewInBackground();
    return value;
  }

  /** Whether the last attempt failed. */
  get failing(): boolean {
    return this.#failures > 0;
  }

  /** Asks the issuer now, whatever is kept; an `UpstreamError`, at once while attempts are backing off, if that fails. */
  renew(): Promise<T> {
    if (this.#loading !== undefined) return this.#loading;
    if (this.#failures > 0 && this.#options.clock() < this.#retryAt) return Promise.reject(this.#error());
    this.#loading = this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  health(): KeptHealth {
    const { freshUntil, fetchedAt } = this.#entry ?? {};
    if (freshUntil === undefined || fetchedAt === undefined) {
      return { age: undefined, state: 'unavailable', failures: this.#failures };
    }
    const now = this.#options.clock();
    const overdue = now < freshUntil + this.#options.maxStale ? 'stale' : 'unavailable';
    return { age: now - fetchedAt, state: now < freshUntil ? 'fresh' : overdue, failures: this.#failures };
  }

  /** Ends the refreshing and whatever is being fetched. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closing.abort();
  }

  async #load(): Promise<T> {
    try {
      const loaded = await this.#options.load(this.#closing.signal);
      this.#keep(loaded);
      this.#failures = 0;
      this.#lastError = undefined;
      return loaded.value;
    } catch (error) {
      this.#failed(error);
      throw this.#error();
    }
  }

  async #restore(): Promise<void> {
    const restored = await this.#options.restore();
    if (restored !== undefined && this.#entry === undefined) this.#keep(restored);
  }

  #keep({ value, maxAge = DEFAULT_FRESH, fetchedAt = this.#options.clock() }: Loaded<T>): void {
    const fresh = this.#options.refreshInterval ?? Math.min(MOST_FRESH, Math.max(LEAST_FRESH, maxAge));
    this.#entry = { value, fetchedAt, freshUntil: fetchedAt + fresh };
    const left = Math.max(0, fetchedAt + fresh - this.#options.clock());
    // Ahead of time, so that no request waits; at no fixed time, so that a fleet does not arrive together.
    this.#schedule(left * (0.75 + Math.random() * 0.15));
  }

  #failed(error: unknown): void {
    const backoff = Math.min(MOST_BACKOFF, LEAST_BACKOFF * 2 ** this.#failures);
    this.#failures++;
    this.#lastError = error;
    this.#retryAt = this.#options.clock() + backoff;
    this.#schedule(backoff * (1 + Math.random() * 0.1));
  }

  #schedule(seconds: number): void {
    clearTimeout(this.#timer);
    if (!this.#options.ahead || this.#closing.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#renewInBackground();
    }, seconds * 1000);
    this.#timer.unref();
  }

  #renewInBackground(): void {
    // A failure is kept as state and told to whoever asks next; there is nobody to tell here.
    this.renew().catch(() => undefined);
  }

  #stale(error: unknown): T {
    const value = this.peek();
    if (value === undefined) throw error;
    return value;
  }

  #error(): UpstreamError {
    const wait = this.#retryAt - this.#options.clock();
    const cause = this.#lastError;
    return new UpstreamError(cause instanceof UpstreamError ? cause.reason : this.#options.reason, wait, { cause });
  }
}
