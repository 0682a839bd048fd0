import { InvalidTokenError, UpstreamError } from '../errors.js';
import type { IntrospectionResult, IntrospectionSource } from '../issuer/introspection-client.js';
import { SharedIntrospectionCache } from '../issuer/shared-introspection-cache.js';
import { type AccessToken, buildAccessToken } from '../token/access-token.js';
import { checkIsAccessToken } from '../token/access-token-only.js';
import {
  type Check,
  explainChecks,
  type Explanation,
  failedCheck,
  notReached,
  passedCheck,
  runChecks,
  toExplanation,
} from '../token/checks.js';
import { checkAudience, checkIssuer, checkRequired, checkStrings, checkTimes } from '../token/claim-checks.js';
import { claim } from '../token/claims.js';
import { checkDpopBinding, readConfirmation, requireBinding } from '../token/confirmation.js';
import { checkIntrospectedJwt } from '../token/introspected-jwt.js';
import { rulesOf } from '../token/profile.js';
import { rejectToken } from '../token/reject-token.js';
import { describeCauses } from '../util/causes.js';
import { ageClockOf } from '../util/clock.js';
import {
  type IntrospectionSettings,
  type IntrospectionVerifierOptions,
  readIntrospectionOptions,
} from './introspection-options.js';
import { createTokenCache } from './token-cache.js';
import { endSignals } from './token-signals.js';
import type { TokenVerifier, VerifierContext } from './token-verifier.js';

/** What `introspectionVerifier` returns. */
export interface IntrospectionVerifier extends Required<TokenVerifier> {
  /**
   * Removes the result of one token, in the store as well, and aborts its signals (`authSignal`) in this process. Other processes that share the store follow within 5 seconds,
   * unless introspection is unavailable then and `maxStale` keeps their own cache. Rejects if the store is unavailable.
   */
  invalidate(token: string): Promise<void>;
}

/** How long a process uses its own cache if results are shared, so that an `invalidate` elsewhere takes effect. Seconds. */
const FRONT_MAX_AGE = 5;

/**
 * Verifies tokens by introspection (RFC 7662): opaque tokens, and JWTs whose revocation must take effect immediately.
 * Results are cached for `cache.maxAge`: for that long, a revoked token may still be accepted.
 *
 * It also checks, whatever the server says: `active`, `iss` if present, the kind of token, `aud`, `exp`, `nbf`, `iat`. It
 * does *not* check scopes and other claims (gates do), and whether the caller has the key in `cnf` (`bearer` does).
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
  const ageClock = ageClockOf(clock);
  const shared = makeShared(settings);
  const source: IntrospectionSource = shared ?? introspectionClient;
  const verifyToken = async (token: string, context?: VerifierContext): Promise<ReceivedResult> => {
    checkToken(token, settings);
    const info = await source.introspect(token, context?.remoteAddress);
    const receivedAt = ageClock();
    return { accessToken: checkResponse(info, settings), introspectedAt: receivedAt - info.age, receivedAt };
  };
  const verifier: IntrospectionVerifier = {
    issuer: settings.issuer,
    profile: settings.profile,
    clock,
    acceptsOpaqueTokens: true,
    allowsAnyTokenCharacters: settings.allowsAnyTokenCharacters,
    verify: async (token, context) => (await verifyToken(token, context)).accessToken,
    explain: (token) => explainToken(token, settings),
    invalidate: async (token) => {
      endSignals(token);
      await shared?.invalidate(token);
    },
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
    const now = ageClock();
    const isOver = clock() >= (accessToken.expiresAt ?? Number.POSITIVE_INFINITY);
    return !isOver && now < introspectedAt + sinceIntrospected && now < receivedAt + sinceReceived;
  };
  const tokenCache = createTokenCache<ReceivedResult>(verifyToken, {
    issuer: settings.issuer,
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
  /** When the server was called. By the clock for ages. */
  readonly introspectedAt: number;
  /** When this process received the result, from the server or the store. By the clock for ages. */
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

interface ResponseCheckInput {
  readonly response: IntrospectionResult['response'];
  readonly settings: IntrospectionSettings;
  /** Seconds since the epoch. */
  readonly now: number;
}

/** The checks of an introspection response: the server's word is not enough. */
const RESPONSE_CHECKS: readonly Check<ResponseCheckInput>[] = [
  {
    name: 'active',
    run: ({ response }) => {
      if (!response.active) rejectToken('inactive', 'active', true, false);
    },
    describe: ({ response }) => ({ expected: true, found: response.active }),
  },
  {
    name: 'issuer',
    run: ({ response, settings: { issuer } }) => {
      if (issuer !== undefined && claim(response, 'iss') !== undefined) checkIssuer(response, issuer);
    },
    describe: ({ response, settings }) => ({ expected: settings.issuer, found: claim(response, 'iss') }),
  },
  {
    // RFC 7662 §2.1: the hint is only a hint. Some servers respond `active: true` for a refresh token.
    name: 'kind of token',
    run: ({ response, settings }) => {
      checkIsAccessToken(response, settings);
    },
  },
  {
    name: 'audience',
    run: ({ response, settings }) => {
      checkAudience(response, settings.audience);
    },
    describe: ({ response, settings }) => ({ expected: settings.audience, found: claim(response, 'aud') }),
  },
  {
    name: 'times',
    run: ({ response, settings: { clockTolerance }, now }) => {
      checkTimes(response, { clockTolerance, maxTokenAge: undefined }, now);
    },
    describe: ({ response, now }) => ({ expected: `later than ${now}`, found: claim(response, 'exp') }),
  },
  {
    name: 'required claims',
    run: ({ response, settings }) => {
      checkRequired(response, settings.requiredClaims);
    },
    describe: ({ settings }) => ({ expected: settings.requiredClaims }),
  },
  {
    name: 'types of claims',
    run: ({ response }) => {
      checkStrings(response);
    },
  },
  {
    name: 'binding to a key',
    run: ({ response, settings }) => {
      checkDpopBinding(response);
      if (rulesOf(settings.profile).requiresBinding) requireBinding(readConfirmation(response));
    },
    describe: ({ response }) => ({ found: claim(response, 'cnf') }),
  },
];

function checkResponse({ response }: IntrospectionResult, settings: IntrospectionSettings): AccessToken {
  runChecks(RESPONSE_CHECKS, { response, settings, now: settings.clock() });
  // Without a configured issuer, the response must not choose one: it could name another server that is trusted.
  return buildAccessToken(
    { format: 'opaque', issuer: settings.issuer ?? settings.server, claims: { ...response } },
    settings,
  );
}

function checkToken(token: unknown, { maxTokenBytes }: IntrospectionSettings): asserts token is string {
  if (typeof token !== 'string' || token === '') rejectToken('malformed', 'token', 'a non-empty string', typeof token);
  if (token.length > maxTokenBytes) rejectToken('too_large', 'token', `at most ${maxTokenBytes} bytes`, token.length);
  checkIntrospectedJwt(token);
}

/** The same checks as a request, all of them. It introspects the token, and caches nothing. */
async function explainToken(token: string, settings: IntrospectionSettings): Promise<Explanation> {
  const now = settings.clock();
  const segments = typeof token === 'string' ? token.split('.', 6).length : 0;
  const rest = RESPONSE_CHECKS.map(({ name }) => notReached(name));
  try {
    checkToken(token, settings);
  } catch (error) {
    if (!(error instanceof InvalidTokenError)) throw error;
    const failed = failedCheck('form', error, { claims: undefined, segments, now });
    return toExplanation([failed, notReached('introspection'), ...rest]);
  }
  try {
    const { response } = await settings.introspectionClient.introspect(token);
    const context = { claims: response, segments, now };
    // For an inactive token, the response contains nothing else (RFC 7662 §2.2).
    const [active, ...others] = explainChecks(RESPONSE_CHECKS, { response, settings, now }, context);
    const checks = response.active ? others : rest.slice(1);
    return toExplanation([
      passedCheck('form'),
      passedCheck('introspection', undefined, response),
      ...(active === undefined ? [] : [active]),
      ...checks,
    ]);
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    return toExplanation([passedCheck('form'), notReached('introspection', undefined, describeCauses(error)), ...rest]);
  }
}
