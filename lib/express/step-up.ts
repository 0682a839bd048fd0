import { ConfigurationError, InsufficientAuthenticationError } from '../errors.js';
import { count, readOptions, type Rules, texts } from '../options.js';
import type { Auth } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { gate } from './gate.js';
import type { Middleware } from './middleware.js';

/** What `requireAuthentication` takes: at least one of them. */
export interface RequireAuthenticationOptions {
  /** Authentication contexts of which `acr` must be one, the preferred one first. Without spaces and quotes. */
  acrValues?: readonly string[];
  /** How long ago (`auth_time`) the person may have authenticated. Whole seconds, 0 to 31,536,000. */
  maxAge?: number;
}

/** How far the clocks of server and API may differ. Seconds. */
const CLOCK_TOLERANCE = 5;

const rules: Rules<RequireAuthenticationOptions> = {
  acrValues: texts(
    'an array of authentication contexts, each a string without spaces and quotes',
    'Use the values that the authorization server knows.',
    (value) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value),
  ),
  maxAge: count('seconds', 0, 31_536_000, 'Leave it out where it does not matter when the person authenticated.'),
};

/**
 * Step-up authentication (RFC 9470): lets tokens pass for which a person authenticated well enough (`acr`) and recently
 * enough (`auth_time`). Others are answered 401 `insufficient_user_authentication` with `acr_values` and `max_age`, so
 * that the client knows what to ask the person for.
 *
 * @throws ConfigurationError for an option that is unknown or wrong, or for none.
 */
export function requireAuthentication(options: RequireAuthenticationOptions): Middleware {
  const { acrValues, maxAge } = readOptions<RequireAuthenticationOptions>('requireAuthentication', options, rules);
  if (acrValues === undefined && maxAge === undefined) {
    throw new ConfigurationError({
      option: 'requireAuthentication',
      expected: 'acrValues, maxAge or both',
      got: 'neither',
      fix: 'Say what authentication is needed.',
    });
  }
  const isEnough = ({ claims }: Auth): boolean => {
    const acr = claim(claims, 'acr');
    if (acrValues !== undefined && !acrValues.some((value) => value === acr)) return false;
    return maxAge === undefined || isRecent(claim(claims, 'auth_time'), maxAge);
  };
  return gate('requireAuthentication', isEnough, () => new InsufficientAuthenticationError({ acrValues, maxAge }));
}

function isRecent(authTime: unknown, maxAge: number): boolean {
  if (typeof authTime !== 'number' || !Number.isFinite(authTime)) return false;
  const age = Date.now() / 1000 - authTime;
  return age >= -CLOCK_TOLERANCE && age <= maxAge + CLOCK_TOLERANCE;
}
