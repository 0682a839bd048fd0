import { InvalidTokenError } from '../errors.js';
import { type AccessToken, buildAccessToken } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { checkDpopBinding, readConfirmation, requireBinding } from '../token/confirmation.js';
import { checkIsAccessToken } from '../token/access-token-only.js';
import { rulesOf } from '../token/profile.js';
import { checkAudience, checkIssuer, checkRequired, checkStrings, checkTimes } from '../token/claim-checks.js';
import { checkIntrospectedJwt } from '../token/introspected-jwt.js';
import type { IntrospectionResult, IntrospectionSource } from '../issuer/introspection-client.js';
import {
  type IntrospectionSettings,
  type IntrospectionVerifierOptions,
  readIntrospectionOptions,
} from './introspection-options.js';
import { createTokenCache } from './token-cache.js';
import { SharedIntrospectionCache } from '../issuer/shared-introspection-cache.js';
import type { TokenVerifier } from './token-verifier.js';

/** What `introspectionVerifier` makes. */
export interface IntrospectionVerifier extends Required<TokenVerifier> {
  /**
   * Drops the result on one token, in the store as well; where others share it, they follow within 5 seconds, unless
   * the server cannot be asked then and `maxStale` lets their own memory stand. Rejects where the store cannot be told.
   */
  invalidate(token: string): Promise<void>;
}

/** How long a process goes by its own memory where results are shared, so that a `forget` elsewhere is heard. Seconds. */
const FRONT_MAX_AGE = 5;

/**
 * Verifies tokens by asking the authorization server (RFC 7662), for opaque tokens and for JWTs that must be revocable
 * at once. Verdicts are remembered for `cache.maxAge`: that is how long a revoked token may still be accepted.
 *
 * Checked here, whatever the server says: `active`, `iss` where there is one, `aud`, `exp`, `nbf`, `iat`. *Not* checked:
 * scopes and other claims (gates do that), and whether the caller holds the key in `cnf` (`bearer` does that).
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong.
 */
export function introspectionVerifier(options: IntrospectionVerifierOptions): IntrospectionVerifier {
  return createIntrospectionVerifier(options, 'introspectionVerifier');
}

/** The same for another function of the package; mistakes in the options name that function. */
export function createIntrospectionVerifier(
  options: IntrospectionVerifierOptions,
  where: string,
): IntrospectionVerifier {
  const settings = readIntrospectionOptions(options, where);
  const { introspectionClient, metadata, keys, cache, clock, maxStale, store } = settings;
  const shared = makeShared(settings);
  const source: IntrospectionSource = shared ?? introspectionClient;
  const verifyToken = async (token: string): Promise<ReceivedResult> => {
    if (typeof token !== 'string' || token === '') throw new InvalidTokenError('malformed');
    if (token.length > settings.maxTokenBytes) throw new InvalidTokenError('too_large');
    checkIntrospectedJwt(token);
    const info = await source.introspect(token);
    return { accessToken: checkResponse(info, settings), introspectedAt: info.introspectedAt, receivedAt: clock() };
  };
  const verifier: IntrospectionVerifier = {
    issuer: settings.issuer,
    profile: settings.profile,
    clock,
    acceptsOpaqueTokens: true,
    verify: async (token) => (await verifyToken(token)).accessToken,
    invalidate: async (token) => shared?.invalidate(token),
    ready: () => introspectionClient.ready(),
    health: () => ({
      ...(metadata === undefined ? {} : { metadata: metadata.health() }),
      ...(keys === undefined ? {} : { keys: keys.health().keys }),
    }),
    close: () => {
      introspectionClient.close();
      metadata?.close();
      keys?.close();
    },
  };
  if (cache === false) return verifier;
  const frontMaxAge = store === undefined ? cache.maxAge : Math.min(FRONT_MAX_AGE, cache.maxAge);
  const isWithin = (result: ReceivedResult, sinceIntrospected: number, sinceReceived: number): boolean => {
    const { accessToken, introspectedAt, receivedAt } = result;
    const now = clock();
    const isOver = now >= (accessToken.expiresAt ?? Number.POSITIVE_INFINITY);
    return !isOver && now < introspectedAt + sinceIntrospected && now < receivedAt + sinceReceived;
  };
  const tokenCache = createTokenCache<ReceivedResult>(verifyToken, {
    maxEntries: cache.maxEntries,
    maxAge: cache.maxAge + maxStale,
    negativeMaxAge: store === undefined ? cache.negativeMaxAge : Math.min(FRONT_MAX_AGE, cache.negativeMaxAge),
    isFresh: (result) => isWithin(result, cache.maxAge, frontMaxAge),
    isUsableWhileStale: (result) => isWithin(result, cache.maxAge + maxStale, cache.maxAge + maxStale),
    clock,
  });
  return {
    ...verifier,
    verify: tokenCache.verify,
    invalidate: async (token) => {
      tokenCache.invalidate(token);
      await verifier.invalidate(token);
    },
    close: () => {
      tokenCache.clear();
      return verifier.close();
    },
  };
}

interface ReceivedResult {
  readonly accessToken: AccessToken;
  /** When the server was asked. Seconds since the epoch. */
  readonly introspectedAt: number;
  /** When this process was told, by the server or the store. Seconds since the epoch. */
  readonly receivedAt: number;
}

function makeShared(settings: IntrospectionSettings): SharedIntrospectionCache | undefined {
  const { introspectionClient, store, cache, scope, timeout, clock } = settings;
  if (store === undefined || cache === false) return undefined;
  const { maxAge, negativeMaxAge } = cache;
  return new SharedIntrospectionCache(introspectionClient, {
    store,
    scope,
    maxAge,
    negativeMaxAge,
    introspectionTimeout: timeout,
    clock,
  });
}

/** What an introspection response is worth here. */
function checkResponse({ response }: IntrospectionResult, settings: IntrospectionSettings): AccessToken {
  if (!response.active) throw new InvalidTokenError('inactive');
  const issuer = claim(response, 'iss');
  if (settings.issuer !== undefined && issuer !== undefined) checkIssuer(response, settings.issuer);
  // RFC 7662 §2.1: the hint is only a hint. Some servers answer `active: true` for a refresh token.
  checkIsAccessToken(response, settings);
  checkAudience(response, settings.audience);
  checkTimes(response, { clockTolerance: settings.clockTolerance, maxTokenAge: undefined }, settings.clock());
  checkRequired(response, settings.requiredClaims);
  checkStrings(response);
  checkDpopBinding(response);
  if (rulesOf(settings.profile).requiresBinding) requireBinding(readConfirmation(response));
  // Without a configured issuer, the response must not choose one: it could name another server that is trusted.
  return buildAccessToken(
    { format: 'opaque', issuer: settings.issuer ?? settings.server, claims: { ...response } },
    settings,
  );
}
