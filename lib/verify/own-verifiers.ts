import {
  assertNotRequest,
  clockRule,
  count,
  invalidOption,
  oneOf,
  readOptions,
  type Rule,
  type Rules,
  seconds,
  text,
} from '../options.js';
import { type AccessToken, buildAccessToken, isAccessToken } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import type { JwtHeader } from '../token/parse-jwt.js';
import { cloneValue } from '../util/clone-value.js';
import { systemClock } from '../util/clock.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { readClaimMapping, sharedRules, type SharedVerifierOptions } from './shared-options.js';
import { type CacheOptions, cacheRules, createTokenCache } from './token-cache.js';
import { endSignals } from './token-signals.js';
import type { TokenVerifier } from './token-verifier.js';
import { isVerifier, wrapVerifier } from './wrap-verifier.js';

/** Options of `createAccessToken`. */
export interface AccessTokenOptions extends Pick<
  SharedVerifierOptions,
  'clientIdClaims' | 'scopeClaims' | 'subjectClaims' | 'isMachine' | 'isUser'
> {
  /** `auth.issuer`. @default the claim `iss` */
  issuer?: string | undefined;
  /** @default 'opaque' */
  format?: 'jwt' | 'opaque' | undefined;
  /** The header of a JWT. @default none */
  header?: Readonly<JwtHeader> | undefined;
}

const objectRule: Rule<Record<string, unknown>> = {
  expected: 'an object',
  fix: 'Pass the claims of a token that you have verified.',
  parse: (value) => (isPlainObject(value) ? cloneValue(value) : undefined),
};

const accessTokenRules: Rules<AccessTokenOptions> = {
  issuer: text('the issuer of the token', 'Leave it out for the claim iss.'),
  format: oneOf(['jwt', 'opaque'], 'Leave it out for "opaque".'),
  header: { ...objectRule, fix: 'Pass the decoded header of the JWT.' } as unknown as Rule<Readonly<JwtHeader>>,
  clientIdClaims: sharedRules.clientIdClaims,
  scopeClaims: sharedRules.scopeClaims,
  subjectClaims: sharedRules.subjectClaims,
  isMachine: sharedRules.isMachine,
  isUser: sharedRules.isUser,
};

/**
 * Builds the `AccessToken` that an own verifier returns from the claims of a token that it has *verified*: JWT payload or
 * introspection response, wire spelling. It reads the claims as the verifiers of this package do and checks nothing: no
 * signature, no audience, no time. The claims are copied; the result is deeply frozen.
 *
 * @throws ConfigurationError for claims that are not an object, without an issuer, or an option that is unknown or wrong.
 */
export function createAccessToken(claims: Record<string, unknown>, options: AccessTokenOptions = {}): AccessToken {
  const where = 'createAccessToken';
  const given = readOptions<AccessTokenOptions>(where, options, accessTokenRules);
  const { format = 'opaque', header } = given;
  const copy = objectRule.parse(claims, where);
  if (copy === undefined) throw invalidOption(`${where}: claims`, { ...objectRule, secret: true }, claims);
  const issuer = given.issuer ?? claim(copy, 'iss');
  if (typeof issuer !== 'string' || issuer === '') {
    const fix = 'Pass the option issuer, because the claims have no iss.';
    throw invalidOption(`${where}: issuer`, { expected: 'a non-empty string', fix }, issuer);
  }
  return buildAccessToken({ format, issuer, claims: copy, header }, readClaimMapping(given));
}

/** Options of `cachedVerifier`. */
export interface CachedVerifierOptions extends CacheOptions {
  /** How long a result is cached at most; never past `expiresAt`. Seconds, 1 to 86,400. @default 60 */
  maxAge?: number | undefined;
  /** How long a rejection is cached. Seconds, 0 (never) to 3,600. @default 0 */
  negativeMaxAge?: number | undefined;
  /** The current time in seconds since the epoch. @default the clock of the verifier, or the system clock */
  clock?: (() => number) | undefined;
}

const cachedVerifierRules: Rules<CachedVerifierOptions> = {
  ...cacheRules,
  maxEntries: count('tokens', 1, 1_000_000, 'Leave it out for 10000.'),
  maxAge: seconds(1, 86_400, 'Leave it out for 60.'),
  negativeMaxAge: seconds(0, 3_600, 'Leave it out for 0.'),
  clock: clockRule,
};

/**
 * Puts the bounded token cache of this package around any verifier. A cached result is returned synchronously until
 * `maxAge` is over, the token expires or `invalidate` is called: for that long, a revoked token is still accepted.
 *
 * @throws ConfigurationError for an option that is unknown or wrong, or a verifier without `verify`.
 */
export function cachedVerifier(verifier: TokenVerifier, options: CachedVerifierOptions = {}): TokenVerifier {
  const where = 'cachedVerifier';
  assertNotRequest(where, verifier);
  if (!isVerifier(verifier)) {
    const fix = 'Pass a verifier, such as { verify: async (token) => createAccessToken(claims) }.';
    throw invalidOption(`${where}: verifier`, { expected: 'an object with the function verify(token)', fix }, verifier);
  }
  const given = readOptions<CachedVerifierOptions>(where, options, cachedVerifierRules);
  const { maxAge = 60, negativeMaxAge = 0, maxEntries = 10_000, maxBytes } = given;
  const clock = given.clock ?? verifier.clock ?? systemClock;
  const cache = createTokenCache(async (token, context) => toResult(await verifier.verify(token, context)), {
    maxEntries,
    maxBytes,
    maxAge,
    negativeMaxAge,
    issuer: verifier.issuer,
    clock,
    isFresh: ({ accessToken }) => clock() < (accessToken.expiresAt ?? Number.POSITIVE_INFINITY),
  });
  return wrapVerifier(verifier, {
    clock,
    acceptsOpaqueTokens: verifier.acceptsOpaqueTokens ?? verifier.issuer === undefined,
    verify: cache.verify,
    invalidate: async (token) => {
      cache.invalidate(token);
      endSignals(token);
      await verifier.invalidate?.(token);
    },
    close: async () => {
      cache.clear();
      await verifier.close?.();
    },
  });
}

// A result of another shape is not cached: it is a mistake of the programmer.
function toResult(accessToken: unknown): { accessToken: AccessToken } {
  if (isAccessToken(accessToken)) return { accessToken: Object.freeze(accessToken) };
  // It may be the token itself.
  const rule = { expected: 'an AccessToken', fix: 'Build it with createAccessToken(claims).', secret: true } as const;
  throw invalidOption('cachedVerifier: result of the verifier', rule, accessToken);
}
