import { hash } from 'node:crypto';
import { InvalidTokenError, UpstreamError } from '../errors.js';
import type { InvalidTokenReason } from '../reasons.js';
import { count, group, type Rule, type Rules, seconds } from '../options.js';
import { BoundedCache } from '../util/bounded-cache.js';
import type { AccessToken } from '../token/access-token.js';
import type { TokenVerifier } from './token-verifier.js';
import { SingleFlight } from '../util/single-flight.js';

/** How results are remembered. */
export interface CacheOptions {
  /** How many tokens are remembered at most. 1 to 1,000,000. @default 10000 */
  maxEntries?: number;
  /** How long a token is remembered at most. Seconds, 1 to 86,400. @default as long as the token is valid */
  maxAge?: number;
}

export const cacheRules: Rules<CacheOptions> = {
  maxEntries: count('entries', 1, 1_000_000, 'Leave it out for 10000.'),
  maxAge: seconds(1, 86_400, 'Leave it out for the default.'),
};

const cacheGroup = group(cacheRules);

export const cacheRule: Rule<CacheOptions | false> = {
  expected: `false, or ${cacheGroup.expected}`,
  fix: 'Leave it out to remember up to 10000 verified tokens, or turn it off with false.',
  parse: (value, path) => (value === false ? false : cacheGroup.parse(value, path)),
};

/** What is remembered: the `AccessToken`, and with it whatever tells how long it stands. */
export interface VerificationResult {
  readonly accessToken: AccessToken;
}

export interface TokenCacheOptions<V extends VerificationResult> extends CacheOptions {
  /** Seconds since the epoch. */
  readonly clock: () => number;
  /**
   * Whether a result still stands at this moment. It is asked at every hit, so it must be what verification itself would
   * say of times and keys.
   */
  readonly isFresh: (result: V) => boolean;
  /** Whether a result that no longer holds still stands while the upstream cannot be had. By default none does. */
  readonly isUsableWhileStale?: (result: V) => boolean;
  /** How long a refusal is remembered, in a memory of its own. Seconds; 0 for not at all. @default 0 */
  readonly negativeMaxAge?: number;
}

/** What `remember` puts in front of a verifier. */
export interface TokenCache extends Required<Pick<TokenVerifier, 'verify' | 'recall'>> {
  readonly invalidate: (token: string) => void;
  readonly clear: () => void;
}

/**
 * Wraps the verification of tokens so that each is verified once. The memories are keyed by the token's SHA-256.
 * Refusals, where they are remembered at all, have a memory of their own, so that garbage cannot push out good results.
 * Concurrent verifications of one token are one.
 */
export function createTokenCache<V extends VerificationResult>(
  verifyToken: (token: string) => Promise<V>,
  options: TokenCacheOptions<V>,
): TokenCache {
  const { maxEntries = 10_000, maxAge = Number.POSITIVE_INFINITY, negativeMaxAge = 0, clock, isFresh } = options;
  const isUsableWhileStale = options.isUsableWhileStale ?? (() => false);
  const accepted = new BoundedCache<V>({ maxEntries, clock });
  const refused = negativeMaxAge > 0 ? new BoundedCache<InvalidTokenReason>({ maxEntries, clock }) : undefined;
  const running = new SingleFlight<AccessToken>();

  const recallKey = (key: string): AccessToken | undefined => {
    const result = accepted.get(key);
    return result !== undefined && isFresh(result) ? result.accessToken : undefined;
  };

  // Not current is what was forgotten meanwhile: then this result is already out of date.
  const verifyNow = async (key: string, token: string, isCurrent: () => boolean): Promise<AccessToken> => {
    try {
      const result = await verifyToken(token);
      if (isCurrent()) accepted.set(key, result, clock() + maxAge);
      return result.accessToken;
    } catch (error) {
      if (error instanceof InvalidTokenError && isCurrent()) {
        accepted.delete(key);
        refused?.set(key, error.reason, clock() + negativeMaxAge);
      }
      const known = error instanceof UpstreamError ? accepted.get(key) : undefined;
      if (known === undefined || !isUsableWhileStale(known)) throw error;
      return known.accessToken;
    }
  };

  return {
    recall: (token) => recallKey(digest(token)),
    verify: async (token) => {
      const key = digest(token);
      const known = recallKey(key);
      if (known !== undefined) return known;
      const reason = refused?.get(key);
      if (reason !== undefined) throw new InvalidTokenError(reason);
      const isJoining = running.isRunning(key);
      const verification = running.run(key, (isCurrent) => verifyNow(key, token, isCurrent));
      return isJoining ? verification.catch(joined) : verification;
    },
    invalidate: (token) => {
      const key = digest(token);
      running.abandon(key);
      accepted.delete(key);
      refused?.delete(key);
    },
    clear: () => {
      accepted.clear();
      refused?.clear();
    },
  };
}

// An error is written to by the middleware that answers with it, so no two requests share one.
function joined(error: unknown): never {
  throw error instanceof InvalidTokenError ? new InvalidTokenError(error.reason, { cause: error.cause }) : error;
}

// What is no string has no digest of a string's, and is then refused by the verifier.
function digest(token: string): string {
  return typeof token === 'string' ? hash('sha256', token, 'base64') : '';
}
