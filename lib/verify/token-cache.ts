import { hash } from 'node:crypto';
import { type CacheMessage, publish } from '../diagnostics.js';
import { InvalidTokenError, UpstreamError } from '../errors.js';
import type { InvalidTokenReason } from '../reasons.js';
import { count, group, type Rule, type Rules, seconds } from '../options.js';
import { ageClockOf, type Clock } from '../util/clock.js';
import { BoundedCache } from '../util/bounded-cache.js';
import type { AccessToken } from '../token/access-token.js';
import { isPromise } from '../util/is-promise.js';
import { SingleFlight } from '../util/single-flight.js';
import type { TokenVerifier, VerifierContext } from './token-verifier.js';

/** How results are cached. */
export interface CacheOptions {
  /** Maximum number of cached tokens. 1 to 1,000,000. @default 10000 */
  maxEntries?: number | undefined;
  /** How long a result is cached at most. Seconds, 1 to 86,400. @default as long as the token is valid */
  maxAge?: number | undefined;
}

export const cacheRules: Rules<CacheOptions> = {
  maxEntries: count('entries', 1, 1_000_000, 'Leave it out for 10000.'),
  maxAge: seconds(1, 86_400, 'Leave it out for the default.'),
};

const cacheGroup = group(cacheRules);

export const cacheRule: Rule<CacheOptions | false> = {
  expected: `false, or ${cacheGroup.expected}`,
  fix: 'Leave it out to cache up to 10000 verified tokens, or turn the cache off with false.',
  parse: (value, path) => (value === false ? false : cacheGroup.parse(value, path)),
};

/** A cached value: the `AccessToken`, and what decides how long it may be used. */
export interface VerificationResult {
  readonly accessToken: AccessToken;
}

export interface TokenCacheOptions<V extends VerificationResult> extends CacheOptions {
  readonly clock: Clock;
  /**
   * Whether a result may be used now. It runs at every hit, so it must check times and keys as verification itself does.
   */
  readonly isFresh: (result: V) => boolean;
  /** Whether a result that is no longer fresh may be used while the upstream is unavailable. @default never */
  readonly isUsableWhileStale?: ((result: V) => boolean) | undefined;
  /** How long a rejection is cached. Seconds; 0 turns it off. @default 0 */
  readonly negativeMaxAge?: number | undefined;
  /** As configured, for the diagnostics channels. */
  readonly issuer?: string | undefined;
}

/** What `createTokenCache` returns. */
export interface TokenCache extends Pick<TokenVerifier, 'verify'> {
  readonly invalidate: (token: string) => void;
  readonly clear: () => void;
}

/**
 * Verifies each token once and caches the result under the SHA-256 of the token. Rejections have a cache of their own, so
 * that forged tokens cannot evict valid results. Concurrent verifications of one token run once. `verifyToken` may return
 * its result or throw synchronously.
 */
export function createTokenCache<V extends VerificationResult>(
  verifyToken: (token: string, context?: VerifierContext) => V | PromiseLike<V>,
  options: TokenCacheOptions<V>,
): TokenCache {
  const { maxEntries = 10_000, maxAge = Number.POSITIVE_INFINITY, negativeMaxAge = 0, isFresh } = options;
  const clock = ageClockOf(options.clock);
  const isUsableWhileStale = options.isUsableWhileStale ?? (() => false);
  const accepted = new BoundedCache<V>({ maxEntries, clock });
  const rejected = negativeMaxAge > 0 ? new BoundedCache<InvalidTokenReason>({ maxEntries, clock }) : undefined;
  const running = new SingleFlight<AccessToken>();

  // Created once, so that a channel without a subscriber costs one comparison.
  const cacheMessage = (): CacheMessage => ({ issuer: options.issuer });

  const freshResult = (key: string): AccessToken | undefined => {
    const result = accepted.get(key);
    return result !== undefined && isFresh(result) ? result.accessToken : undefined;
  };

  const accept = (key: string, result: V): AccessToken => {
    accepted.set(key, result, clock() + maxAge);
    return result.accessToken;
  };

  /** The result to use in spite of a failure. @throws the failure, if there is none. */
  const recover = (key: string, error: unknown, isCurrent: boolean): AccessToken => {
    if (error instanceof InvalidTokenError && isCurrent) {
      accepted.delete(key);
      rejected?.set(key, error.reason, clock() + negativeMaxAge);
    }
    const known = error instanceof UpstreamError ? accepted.get(key) : undefined;
    if (known === undefined || !isUsableWhileStale(known)) throw error;
    return known.accessToken;
  };

  // A verification that was invalidated while it ran is out of date and must not be cached.
  const waitFor = async (key: string, pending: PromiseLike<V>, isCurrent: () => boolean): Promise<AccessToken> => {
    try {
      const result = await pending;
      return isCurrent() ? accept(key, result) : result.accessToken;
    } catch (error) {
      return recover(key, error, isCurrent());
    }
  };

  // Async, so that every failure is a rejection.
  const verifyNow = async (key: string, token: string, context?: VerifierContext): Promise<AccessToken> => {
    let result: V | PromiseLike<V>;
    try {
      result = verifyToken(token, context);
      if (!isPromise(result)) return accept(key, result);
    } catch (error) {
      return recover(key, error, true);
    }
    const pending = result;
    return running.run(key, (isCurrent) => waitFor(key, pending, isCurrent));
  };

  return {
    verify: (token, context) => {
      const key = digest(token);
      const known = freshResult(key);
      const reason = known === undefined ? rejected?.get(key) : undefined;
      publish(known === undefined && reason === undefined ? 'cache.miss' : 'cache.hit', cacheMessage);
      if (known !== undefined) return known;
      if (reason !== undefined) return Promise.reject(new InvalidTokenError(reason));
      return running.get(key)?.catch(joined) ?? verifyNow(key, token, context);
    },
    invalidate: (token) => {
      const key = digest(token);
      running.abandon(key);
      accepted.delete(key);
      rejected?.delete(key);
    },
    clear: () => {
      accepted.clear();
      rejected?.clear();
    },
  };
}

// The middleware writes the headers of its response to the error, so no two requests share one.
function joined(error: unknown): never {
  throw error instanceof InvalidTokenError ? new InvalidTokenError(error.reason, { cause: error.cause }) : error;
}

// A value that is not a string has no digest; the verifier rejects it.
function digest(token: string): string {
  return typeof token === 'string' ? hash('sha256', token, 'base64') : '';
}
