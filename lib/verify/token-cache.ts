import { type CacheMessage, publish } from '../diagnostics.js';
import { type FailedCheck, InvalidTokenError, makeFailedCheck, UpstreamError } from '../errors.js';
import type { InvalidTokenReason } from '../reasons.js';
import { count, group, type Rule, type Rules, seconds } from '../options.js';
import { type Clock, resultClockOf } from '../util/clock.js';
import { BoundedCache } from '../util/bounded-cache.js';
import { failedCheckOf } from '../token/checks.js';
import { render } from '../util/escape.js';
import type { AccessToken } from '../token/access-token.js';
import { digestIn, tokenDigest } from '../token/token-digest.js';
import { isPromise } from '../util/is-promise.js';
import { memorySizeOf } from '../util/memory-size.js';
import { SingleFlight } from '../util/single-flight.js';
import type { TokenVerifier, VerifierContext } from './token-verifier.js';

/** How results are cached. */
export interface CacheOptions {
  /** Maximum number of cached tokens. 1 to 1,000,000. @default 10000 */
  maxEntries?: number | undefined;
  /**
   * Maximum size of all cached results together, as they are estimated to be in memory. Bytes, 1,024 to 1,073,741,824.
   * @default 67108864
   */
  maxBytes?: number | undefined;
  /** How long a result is cached at most. Seconds, 1 to 86,400. @default as long as the token is valid */
  maxAge?: number | undefined;
}

export const cacheRules: Rules<CacheOptions> = {
  maxEntries: count('entries', 1, 1_000_000, 'Leave it out for 10000.'),
  maxBytes: count('bytes', 1_024, 1_073_741_824, 'Leave it out for 67108864.'),
  maxAge: seconds(1, 86_400, 'Leave it out for the default.'),
};

const DEFAULT_MAX_BYTES = 67_108_864;

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

/** A cached rejection: the check that failed is its cause. */
interface Rejection {
  readonly reason: InvalidTokenReason;
  readonly cause: FailedCheck | undefined;
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
  const { maxEntries = 10_000, maxBytes = DEFAULT_MAX_BYTES, isFresh } = options;
  const { maxAge = Number.POSITIVE_INFINITY, negativeMaxAge = 0 } = options;
  const clock = resultClockOf(options.clock);
  const isUsableWhileStale = options.isUsableWhileStale ?? (() => false);
  const accepted = new BoundedCache<V>({ maxEntries, maxBytes, clock });
  const rejected = negativeMaxAge > 0 ? new BoundedCache<Rejection>({ maxEntries, maxBytes, clock }) : undefined;
  const running = new SingleFlight<AccessToken>();

  // Created once, so that a channel without a subscriber costs one comparison.
  const cacheMessage = (): CacheMessage => ({ issuer: options.issuer });

  const freshResult = (key: string): AccessToken | undefined => {
    const result = accepted.get(key);
    return result !== undefined && isFresh(result) ? result.accessToken : undefined;
  };

  const accept = (key: string, result: V): AccessToken => {
    // The claims, and what was made from them: scopes and audiences can need more memory than the token.
    accepted.set(key, result, clock() + maxAge, memorySizeOf(result.accessToken));
    return result.accessToken;
  };

  /** The result to use in spite of a failure. @throws the failure, if there is none. */
  const recover = (key: string, error: unknown, isCurrent: boolean): AccessToken => {
    if (error instanceof InvalidTokenError && isCurrent) {
      accepted.delete(key);
      rejected?.set(key, rejectionOf(error), clock() + negativeMaxAge);
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
      const key = digestIn(context, token);
      const known = freshResult(key);
      const rejection = known === undefined ? rejected?.get(key) : undefined;
      publish(known === undefined && rejection === undefined ? 'cache.miss' : 'cache.hit', cacheMessage);
      if (known !== undefined) return known;
      if (rejection !== undefined) {
        return Promise.reject(new InvalidTokenError(rejection.reason, { cause: rejection.cause }));
      }
      return running.get(key)?.catch(joined) ?? verifyNow(key, token, context);
    },
    invalidate: (token) => {
      const key = tokenDigest(token);
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

/** Longer values of a failed check are cut before they are cached. Characters. */
const MAX_FOUND = 500;

// The caller chooses what a check finds, so its size must not decide how much memory the cache uses.
function rejectionOf(error: InvalidTokenError): Rejection {
  const failed = failedCheckOf(error);
  if (failed === undefined) return { reason: error.reason, cause: undefined };
  const text = render(failed.found, MAX_FOUND);
  return {
    reason: error.reason,
    cause: text.length > MAX_FOUND ? makeFailedCheck(failed.checked, failed.expected, text) : failed,
  };
}

// The middleware writes the headers of its response to the error, so no two requests share one.
function joined(error: unknown): never {
  throw error instanceof InvalidTokenError ? new InvalidTokenError(error.reason, { cause: error.cause }) : error;
}
