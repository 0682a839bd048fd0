/** What a token endpoint answered (RFC 6749 §5.1), as openid-client spells it. */
export interface TokenResponse {
  readonly access_token: string;
  /** Seconds. */
  readonly expires_in?: number;
}

export interface TokenKeeperOptions {
  /** How long before its expiry a token is replaced. Seconds. @default 30 */
  readonly refreshBefore?: number;
  /** Seconds since the epoch. @default the system's clock */
  readonly clock?: () => number;
}

interface Kept {
  readonly token: string;
  readonly refreshAt: number;
  readonly expiresAt: number;
}

/**
 * Keeps one access token until shortly before it expires, so that a client asks for a token once in a while and not once
 * a request. However many callers wait, the issuer is asked once.
 */
export class TokenKeeper {
  readonly #fetchToken: () => Promise<TokenResponse>;
  readonly #refreshBefore: number;
  readonly #clock: () => number;
  #kept: Kept | undefined;
  #fetching: Promise<Kept> | undefined;

  constructor(fetchToken: () => Promise<TokenResponse>, options: TokenKeeperOptions = {}) {
    const { refreshBefore = 30, clock = () => Date.now() / 1000 } = options;
    this.#fetchToken = fetchToken;
    this.#refreshBefore = refreshBefore;
    this.#clock = clock;
  }

  async token(): Promise<string> {
    const kept = this.#kept;
    if (kept !== undefined && this.#clock() < kept.refreshAt) return kept.token;
    try {
      return (await this.#fetchOnce()).token;
    } catch (error) {
      // The issuer is down, but the token in hand is still good: an outage of a few seconds goes unnoticed.
      if (kept !== undefined && this.#clock() < kept.expiresAt) return kept.token;
      throw error;
    }
  }

  /** Drops the token, for one that an API has refused. */
  forget(): void {
    this.#kept = undefined;
  }

  #fetchOnce(): Promise<Kept> {
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<Kept> {
    // Counted from before the request: the answer's way back takes from the token's life.
    const asked = this.#clock();
    const { access_token: token, expires_in: lifetime = 0 } = await this.#fetchToken();
    // A token that lives shorter than the margin would otherwise be fetched anew for every request.
    const margin = Math.min(this.#refreshBefore, lifetime / 2);
    this.#kept = { token, refreshAt: asked + lifetime - margin, expiresAt: asked + lifetime };
    return this.#kept;
  }
}
