import { InvalidTokenError, UpstreamError } from '../errors.js';
import type { IntrospectionResult, IntrospectionSource } from '../issuer/introspection-client.js';
import type { TenantBudget } from '../issuer/request-budget.js';
import { describeUpstreamError } from '../issuer/upstream-problems.js';
import { SharedIntrospectionCache } from '../issuer/shared-introspection-cache.js';
import { type AccessToken, buildAccessToken } from '../token/access-token.js';
import {
  explainChecks,
  type Explanation,
  failedCheck,
  notReached,
  passedCheck,
  runChecks,
  toExplanation,
} from '../token/checks.js';
import { INTROSPECTION_CHECKS } from '../token/introspection-checks.js';
import { checkIntrospectedJwt } from '../token/introspected-jwt.js';
import { rejectToken } from '../token/reject-token.js';
import { resultClockOf } from '../util/clock.js';
import { withoutToken } from '../util/escape.js';
import { assertNotRequest } from '../options.js';
import { rejectMoreOptions } from '../unknown-options.js';
import { withoutQuery } from '../util/url.js';
import { createExpiryWatch, type ExpiryWatch } from './expiry-watch.js';
import { connectToServer, type IntrospectionConnection } from './introspection-connection.js';
import {
  type IntrospectionSettings,
  type IntrospectionVerifierOptions,
  readIntrospectionOptions,
} from './introspection-options.js';
import { noteServed, recordInstance } from './instances.js';
import { type PrefetchedDocuments, startPrefetch } from './prefetch.js';
import { createTokenCache } from './token-cache.js';
import { endSignals } from './token-signals.js';
import type { TokenVerifier, VerifierContext, VerifierHealth } from './token-verifier.js';

/** What `introspectionVerifier` returns. */
export interface IntrospectionVerifier extends Required<TokenVerifier> {
  /**
   * Removes the result of one token, in the store as well, and aborts its signals (`authSignal`) in this process. Other
   * processes that share the store follow within 5 seconds, unless introspection is unavailable then and `maxStale` keeps
   * their own cache. Rejects with an `UpstreamError` if the store is unavailable.
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
export function introspectionVerifier(options: IntrospectionVerifierOptions): IntrospectionVerifier;
export function introspectionVerifier(
  options: IntrospectionVerifierOptions,
  ...others: unknown[]
): IntrospectionVerifier {
  assertNotRequest('introspectionVerifier', options);
  rejectMoreOptions('introspectionVerifier', others);
  return createIntrospectionVerifier(options, 'introspectionVerifier');
}

/** The settings, and what the verifier uses for every token. */
type IntrospectionParts = IntrospectionSettings & IntrospectionConnection & { readonly watchExpiry: ExpiryWatch };

/** The same for another function of the package; mistakes in the options name that function. */
export function createIntrospectionVerifier(
  options: IntrospectionVerifierOptions,
  where: string,
  budget?: TenantBudget,
): IntrospectionVerifier {
  const read = readIntrospectionOptions(options, where);
  const watchExpiry = createExpiryWatch(read.issuer ?? withoutQuery(read.server));
  const settings: IntrospectionParts = {
    ...read,
    ...connectToServer(read.connection, read.clock, budget),
    watchExpiry,
  };
  const { introspectionClient, metadata, keys, cache, clock, maxStale, store } = settings;
  const resultClock = resultClockOf(clock);
  const endRecord = recordInstance(where, settings.issuer ?? settings.server);
  const prefetch = startPrefetch(prefetchedDocuments(settings), settings.prefetchTimeout);
  const shared = makeShared(settings);
  const source: IntrospectionSource = shared ?? introspectionClient;
  const verifyToken = async (token: string, context?: VerifierContext): Promise<ReceivedResult> => {
    noteServed();
    checkToken(token, settings);
    const prefetching = prefetch.join();
    if (prefetching !== undefined) await prefetching;
    const info = await source.introspect(token, context?.remoteAddress);
    const receivedAt = resultClock();
    return { accessToken: checkResponse(info, settings), introspectedAt: receivedAt - info.age, receivedAt };
  };
  const verifier: IntrospectionVerifier = {
    issuer: settings.issuer,
    profile: settings.profile,
    clock,
    acceptsOpaqueTokens: true,
    allowsAnyTokenCharacters: settings.allowsAnyTokenCharacters,
    verify: async (token, context) => (await verifyToken(token, context)).accessToken,
    explain: async (token) => {
      await prefetch.join();
      return explainToken(token, settings);
    },
    invalidate: async (token) => {
      endSignals(token);
      await shared?.invalidate(token);
    },
    ready: async () => {
      await prefetch.join();
      await introspectionClient.ready();
    },
    health: () => healthOf(settings),
    close: () => {
      endRecord();
      prefetch.cancel();
      introspectionClient.close();
      metadata?.close();
      keys?.close();
    },
  };
  if (cache === false) return verifier;
  const frontMaxAge = store === undefined ? cache.maxAge : Math.min(FRONT_MAX_AGE, cache.maxAge);
  const isWithin = (result: ReceivedResult, sinceIntrospected: number, sinceReceived: number): boolean => {
    const { accessToken, introspectedAt, receivedAt } = result;
    const now = resultClock();
    const isOver = clock() >= (accessToken.expiresAt ?? Number.POSITIVE_INFINITY);
    return !isOver && now < introspectedAt + sinceIntrospected && now < receivedAt + sinceReceived;
  };
  const tokenCache = createTokenCache<ReceivedResult>(verifyToken, {
    issuer: settings.issuer,
    maxEntries: cache.maxEntries,
    maxBytes: cache.maxBytes,
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

/** Some servers repeat the token in their response. */
function withoutTokenIn(response: IntrospectionResult['response'], token: string): IntrospectionResult['response'] {
  return JSON.parse(JSON.stringify(response), (_name, value: unknown) =>
    typeof value === 'string' ? withoutToken(value, token) : value,
  ) as IntrospectionResult['response'];
}

interface ReceivedResult {
  readonly accessToken: AccessToken;
  /** When the server was called. By the clock for results. */
  readonly introspectedAt: number;
  /** When this process received the result, from the server or the store. By the clock for results. */
  readonly receivedAt: number;
}

/** What discovery and signed responses need. */
function prefetchedDocuments({ introspectionClient, metadata, keys }: IntrospectionParts): PrefetchedDocuments {
  if (metadata === undefined && keys === undefined) return introspectionClient;
  return {
    ready: () => introspectionClient.ready(),
    endPause: () => {
      metadata?.endPause();
      keys?.endPause?.();
    },
    abortLoads: (reason) => {
      metadata?.abortLoads(reason);
      keys?.abortLoads?.(reason);
    },
  };
}

function healthOf({ introspectionClient, metadata, keys }: IntrospectionParts): VerifierHealth {
  const documents = {
    ...(metadata === undefined ? {} : { metadata: metadata.health() }),
    ...(keys === undefined ? {} : { keys: keys.health().keys }),
  };
  const isReady = Object.values(documents).every(({ state }) => state !== 'unavailable');
  return { isReady, introspection: introspectionClient.health(), ...documents };
}

function makeShared(settings: IntrospectionParts): SharedIntrospectionCache | undefined {
  const { introspectionClient, store, cache, scope, timeout, clock, monitor } = settings;
  if (store === undefined || cache === false) return undefined;
  const { maxAge, negativeMaxAge } = cache;
  return new SharedIntrospectionCache(introspectionClient, {
    store,
    scope,
    identity: () => introspectionClient.identity(),
    maxAge,
    negativeMaxAge,
    introspectionTimeout: timeout,
    clock,
    states: monitor.states,
  });
}

function checkResponse({ response }: IntrospectionResult, settings: IntrospectionParts): AccessToken {
  runChecks(INTROSPECTION_CHECKS, { response, rules: settings, now: settings.clock() });
  // Without a configured issuer, the response must not choose one: it could name another server that is trusted.
  const accessToken = buildAccessToken(
    { format: 'opaque', issuer: settings.issuer ?? settings.server, claims: { ...response } },
    settings,
  );
  settings.watchExpiry(accessToken.expiresAt);
  return accessToken;
}

function checkToken(token: unknown, { maxTokenBytes }: IntrospectionParts): asserts token is string {
  if (typeof token !== 'string' || token === '') rejectToken('malformed', 'token', 'a non-empty string', typeof token);
  if (token.length > maxTokenBytes) rejectToken('too_large', 'token', `at most ${maxTokenBytes} bytes`, token.length);
  checkIntrospectedJwt(token);
}

/** The same checks as a request, all of them. It introspects the token, and caches nothing. */
async function explainToken(token: string, settings: IntrospectionParts): Promise<Explanation> {
  const now = settings.clock();
  const segments = typeof token === 'string' ? token.split('.', 6).length : 0;
  const rest = INTROSPECTION_CHECKS.map(({ name }) => notReached(name));
  try {
    checkToken(token, settings);
  } catch (error) {
    if (!(error instanceof InvalidTokenError)) throw error;
    const failed = failedCheck('form', error, { claims: undefined, segments, now });
    return toExplanation([failed, notReached('introspection'), ...rest]);
  }
  try {
    const received = await settings.introspectionClient.introspect(token);
    const response = withoutTokenIn(received.response, token);
    const context = { claims: response, segments, now };
    // For an inactive token, the response contains nothing else (RFC 7662 §2.2).
    const [active, ...others] = explainChecks(INTROSPECTION_CHECKS, { response, rules: settings, now }, context);
    const checks = response.active ? others : rest.slice(1);
    return toExplanation([
      passedCheck('form'),
      passedCheck('introspection', undefined, response),
      ...(active === undefined ? [] : [active]),
      ...checks,
    ]);
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    return toExplanation([
      passedCheck('form'),
      notReached('introspection', undefined, describeUpstreamError(error)),
      ...rest,
    ]);
  }
}
