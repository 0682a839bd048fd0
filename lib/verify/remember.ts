import { hash } from 'node:crypto';
import { count, group, type Rule, type Rules, seconds } from '../options.js';
import { BoundedMemory } from '../store/memory.js';
import type { AccessToken } from '../token/access-token.js';
import type { TokenVerifier } from './token-verifier.js';

/** How verdicts are remembered. */
export interface CacheOptions {
  /** How many tokens are remembered at most. 1 to 1,000,000. @default 10000 */
  maxEntries?: number;
  /** How long a token is remembered at most. Seconds, 1 to 86,400. @default as long as the token is valid */
  maxAge?: number;
}

const cacheGroup = group<CacheOptions>({
  maxEntries: count('entries', 1, 1_000_000, 'Leave it out for 10000.'),
  maxAge: seconds(1, 86_400, 'Leave it out to remember a token as long as it is valid.'),
} satisfies Rules<CacheOptions>);

export const cacheRule: Rule<CacheOptions | false> = {
  expected: `false, or ${cacheGroup.expected}`,
  fix: 'Leave it out to remember up to 10000 verified tokens, or turn it off with false.',
  parse: (value, path) => (value === false || typeof value === 'object' ? parseCache(value, path) : undefined),
};

function parseCache(value: unknown, path: string): CacheOptions | false | undefined {
  return value === false ? false : cacheGroup.parse(value, path);
}

export interface RememberOptions extends CacheOptions {
  /** Seconds since the epoch. */
  readonly clock: () => number;
  /**
   * Whether a verdict still stands at this moment. It is asked at every hit, so it must be what verification itself would
   * say of times and keys. By default `expiresAt` alone.
   */
  readonly holds?: (accessToken: AccessToken) => boolean;
}

/** What `remember` puts in front of a verifier: to be spread over it. */
export type Remembering = Required<Pick<TokenVerifier, 'verify' | 'recall' | 'forget' | 'close'>>;

/**
 * Wraps a verifier so that a token is verified once. The memory is keyed by the token's SHA-256 and holds accepted
 * tokens only, so that nobody who has none can fill it. Concurrent verifications of one token are one.
 */
export function remember(verifier: TokenVerifier, options: RememberOptions): Remembering {
  const { maxEntries = 10_000, maxAge = Number.POSITIVE_INFINITY, clock } = options;
  const holds = options.holds ?? (({ expiresAt = Number.POSITIVE_INFINITY }) => clock() < expiresAt);
  const memory = new BoundedMemory<AccessToken>({ maxEntries, clock });
  const running = new Map<string, Promise<AccessToken>>();

  const recallKey = (key: string): AccessToken | undefined => {
    const accessToken = memory.get(key);
    if (accessToken === undefined || holds(accessToken)) return accessToken;
    memory.delete(key);
    return undefined;
  };

  const verifyNow = async (key: string, token: string): Promise<AccessToken> => {
    const verification = verifier.verify(token);
    running.set(key, verification);
    try {
      const accessToken = await verification;
      // Forgotten meanwhile: then this verdict is already out of date.
      if (running.get(key) === verification) memory.set(key, accessToken, clock() + maxAge);
      return accessToken;
    } finally {
      if (running.get(key) === verification) running.delete(key);
    }
  };

  return {
    recall: (token) => recallKey(digest(token)),
    verify: async (token) => {
      const key = digest(token);
      return recallKey(key) ?? running.get(key) ?? verifyNow(key, token);
    },
    forget: (token) => {
      const key = digest(token);
      running.delete(key);
      memory.delete(key);
      return verifier.forget?.(token);
    },
    close: () => {
      memory.clear();
      return verifier.close?.();
    },
  };
}

// What is no string has no digest of a string's, and is then refused by the verifier.
function digest(token: string): string {
  return typeof token === 'string' ? hash('sha256', token, 'base64') : '';
}
