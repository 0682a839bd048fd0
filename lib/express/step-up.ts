import { ConfigurationError, InsufficientAuthenticationError, makeFailedCheck } from '../errors.js';
import { readOptions, type Rules, texts, wholeSeconds } from '../options.js';
import type { Auth } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { gate } from './gate.js';
import type { Middleware } from './middleware.js';
import type { RespondSettings } from './respond.js';

/** Options of `requireAuthentication`: at least one of them. */
export interface RequireAuthenticationOptions {
  /** Accepted values of `acr`, the preferred one first. No spaces and quotes. */
  acrValues?: readonly string[] | undefined;
  /** Maximum time since the user authenticated (`auth_time`). Whole seconds, 0 to 31,536,000. */
  maxAge?: number | undefined;
}

/** Accepted difference between the clocks of server and API. Seconds. */
const CLOCK_TOLERANCE = 5;

const rules: Rules<RequireAuthenticationOptions> = {
  acrValues: texts(
    'an array of authentication contexts, each a string without spaces and quotes',
    'Use the values that the authorization server supports.',
    (value) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value),
  ),
  maxAge: wholeSeconds(0, 31_536_000, 'Leave it out if any time of authentication is sufficient.'),
};

/**
 * Step-up authentication (RFC 9470): requires that the user authenticated with an accepted context (`acr`) and recently
 * (`auth_time`). Other tokens get 401 `insufficient_user_authentication` with `acr_values` and `max_age`, so that the
 * client knows how the user must authenticate.
 *
 * @throws ConfigurationError for an option that is unknown or wrong, or without any option.
 */
export function requireAuthentication(options: RequireAuthenticationOptions, ..._none: undefined[]): Middleware {
  const { acrValues, maxAge } = readOptions<RequireAuthenticationOptions>('requireAuthentication', options, rules);
  if (acrValues === undefined && maxAge === undefined) {
    throw new ConfigurationError({
      option: 'requireAuthentication',
      expected: 'acrValues, maxAge or both',
      got: 'neither',
      fix: 'Pass at least one of them.',
    });
  }
  const isEnough = ({ claims }: Auth, _req: unknown, { clock }: RespondSettings): boolean => {
    const acr = claim(claims, 'acr');
    if (acrValues !== undefined && !acrValues.some((value) => value === acr)) return false;
    return maxAge === undefined || isRecent(claim(claims, 'auth_time'), maxAge, clock());
  };
  return gate(
    'requireAuthentication',
    isEnough,
    ({ claims }) =>
      new InsufficientAuthenticationError(
        { acrValues, maxAge },
        {
          cause: makeFailedCheck(
            'acr, auth_time',
            { acrValues, maxAge },
            { acr: claim(claims, 'acr'), authTime: claim(claims, 'auth_time') },
          ),
        },
      ),
  );
}

function isRecent(authTime: unknown, maxAge: number, now: number): boolean {
  if (typeof authTime !== 'number' || !Number.isFinite(authTime)) return false;
  const age = now - authTime;
  return age >= -CLOCK_TOLERANCE && age <= maxAge + CLOCK_TOLERANCE;
}
