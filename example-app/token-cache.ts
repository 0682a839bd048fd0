/** The response of a token endpoint (RFC 6749 §5.1), in the spelling of openid-client. */
export interface TokenResponse {
  readonly access_token: string;
  /** Seconds. */
  readonly expires_in?: number;
}

export interface TokenCacheOptions {
  /** How long before its expiry a token is replaced. Seconds. @default 30 */
  readonly refreshBefore?: number;
  /** Returns seconds since the epoch. @default the system clock */
  readonly clock?: () => number;
}

interface CachedToken {
  readonly token: string;
  readonly refreshAt: number;
  readonly expiresAt: number;
}

/**
 * Caches one access token until shortly before it expires, so that a client does not fetch a token for each request.
 * Concurrent callers share one fetch.
 */
export class TokenCache {
  readonly #fetchToken: () => Promise<TokenResponse>;
  readonly #refreshBefore: number;
  readonly #clock: () => number;
  #cached: CachedToken | undefined;
  #fetching: Promise<CachedToken> | undefined;

  constructor(fetchToken: () => Promise<TokenResponse>, options: TokenCacheOptions = {}) {
    const { refreshBefore = 30, clock = () => Date.now() / 1000 } = options;
    this.#fetchToken = fetchToken;
    this.#refreshBefore = refreshBefore;
    this.#clock = clock;
  }

  async token(): Promise<string> {
    const cached = this.#cached;
    if (cached !== undefined && this.#clock() < cached.refreshAt) return cached.token;
    try {
      return (await this.#fetchOnce()).token;
    } catch (error) {
      // The issuer is down, but the cached token is still valid: callers do not notice a short outage.
      if (cached !== undefined && this.#clock() < cached.expiresAt) return cached.token;
      throw error;
    }
  }

  /** Removes the token, for example after an API has rejected it. */
  invalidate(): void {
    this.#cached = undefined;
  }

  #fetchOnce(): Promise<CachedToken> {
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<CachedToken> {
    // The lifetime starts before the request, because the response takes time to arrive.
    const requestedAt = this.#clock();
    const { access_token: token, expires_in: lifetime = 0 } = await this.#fetchToken();
    // A token with a lifetime below the margin would otherwise be fetched for every request.
    const margin = Math.min(this.#refreshBefore, lifetime / 2);
    this.#cached = { token, refreshAt: requestedAt + lifetime - margin, expiresAt: requestedAt + lifetime };
    return this.#cached;
  }
}
