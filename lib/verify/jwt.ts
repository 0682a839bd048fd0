import { InvalidTokenError, UpstreamError } from '../errors.js';
import type { KeySet, KeysHealth, KeySource } from '../issuer/key-set.js';
import type { RequestBudget, TenantBudget } from '../issuer/request-budget.js';
import { describeUpstreamError } from '../issuer/upstream-problems.js';
import { verifySignature } from '../issuer/verify-signature.js';
import { type AccessToken, buildAccessToken } from '../token/access-token.js';
import {
  explainChecks,
  type ExplainedCheck,
  type Explanation,
  failedCheck,
  notReached,
  passedCheck,
  runChecks,
  toExplanation,
} from '../token/checks.js';
import { validUntil } from '../token/claim-checks.js';
import type { TokenContext } from '../token/fixes.js';
import { JWT_CHECKS } from '../token/jwt-checks.js';
import { type ParsedJwt, parseJwt } from '../token/parse-jwt.js';
import { rejectToken } from '../token/reject-token.js';
import { isPromise } from '../util/is-promise.js';
import { assertNotRequest } from '../options.js';
import { rejectMoreOptions } from '../unknown-options.js';
import { createExpiryWatch, type ExpiryWatch } from './expiry-watch.js';
import { noteServed, recordInstance } from './instances.js';
import { createKeySource } from './jwt-keys.js';
import { type JwtSettings, type JwtVerifierOptions, readJwtVerifierOptions } from './jwt-options.js';
import { type Prefetch, startPrefetch } from './prefetch.js';
import { createTokenCache } from './token-cache.js';
import { endSignals } from './token-signals.js';
import type { TokenVerifier } from './token-verifier.js';

/** What `jwtVerifier` returns. */
export interface JwtVerifier extends Required<TokenVerifier> {
  readonly issuer: string;
  health(): KeysHealth;
}

/**
 * Verifies JWT access tokens of one issuer (RFC 7519, 8725, 9068), and caches each result while it is valid. It does not
 * need Express: WebSocket, gRPC and job handlers can call it.
 *
 * It checks size, form, `alg`, `typ`, `crit`, `iss`, the kind of token, `aud`, `exp`, `nbf`, `iat`, required claims and the
 * signature. It does *not* check scopes, clients and other claims (gates do), whether the token was revoked (introspection
 * does), and whether the caller has the key in `cnf` (`bearer` does: without it, check `cnf` yourself).
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong.
 */
export function jwtVerifier(options: JwtVerifierOptions): JwtVerifier;
export function jwtVerifier(options: JwtVerifierOptions, ...others: unknown[]): JwtVerifier {
  assertNotRequest('jwtVerifier', options);
  rejectMoreOptions('jwtVerifier', others);
  return createJwtVerifier(options, 'jwtVerifier');
}

/** The settings, and what the verifier uses for every token. */
interface JwtParts extends JwtSettings {
  readonly keys: KeySource;
  /** Limits the requests that tokens with an unknown key cause. */
  readonly budget: RequestBudget | undefined;
  readonly watchExpiry: ExpiryWatch;
  readonly prefetch: Prefetch;
}

/** The same for another function of the package; mistakes in the options name that function. */
export function createJwtVerifier(options: JwtVerifierOptions, where: string, budget?: TenantBudget): JwtVerifier {
  const read = readJwtVerifierOptions(options, where);
  const watchExpiry = createExpiryWatch(read.rules.issuer);
  const keySource = createKeySource(read.keyOrigin, read.clock, budget?.reports);
  const endRecord = recordInstance(where, read.rules.issuer);
  const prefetch = startPrefetch(keySource, read.prefetchTimeout);
  const settings: JwtParts = { ...read, keys: keySource, budget, watchExpiry, prefetch };
  const { rules, keys, clock, cache } = settings;
  const verifyNow = (token: string): JwtVerificationResult | PromiseLike<JwtVerificationResult> =>
    verifyToken(token, settings);
  const verifier: JwtVerifier = {
    issuer: rules.issuer,
    profile: rules.profile,
    clock,
    acceptsOpaqueTokens: false,
    allowsAnyTokenCharacters: false,
    verify: async (token) => (await verifyNow(token)).accessToken,
    explain: async (token) => {
      await prefetch.join();
      return explainToken(token, settings);
    },
    invalidate: endSignals,
    ready: async () => {
      await prefetch.join();
      await keys.ready();
    },
    health: () => keys.health(),
    close: () => {
      endRecord();
      prefetch.cancel();
      keys.close();
    },
  };
  if (cache === false) return verifier;
  const cached = createTokenCache<JwtVerificationResult>(verifyNow, {
    ...cache,
    clock,
    issuer: rules.issuer,
    isFresh: (result) => clock() < result.until && result.keysVersion === keys.current()?.version,
  });
  const { verify, clear } = cached;
  const invalidate = (token: string): void => {
    cached.invalidate(token);
    endSignals(token);
  };
  const close = (): void => {
    clear();
    void verifier.close();
  };
  return { ...verifier, verify, invalidate, close };
}

/** A result with the conditions under which verifying again would return the same. */
interface JwtVerificationResult {
  readonly accessToken: AccessToken;
  readonly keysVersion: number;
  /** Seconds since the epoch. */
  readonly until: number;
}

/** A promise only if keys are fetched, or another thread verifies the signature. */
function verifyToken(token: string, settings: JwtParts): JwtVerificationResult | PromiseLike<JwtVerificationResult> {
  noteServed();
  const { rules, maxTokenBytes, clock, prefetch } = settings;
  const jwt = parseToken(token, maxTokenBytes);
  const { header, claims } = jwt;
  runChecks(JWT_CHECKS, { header, claims, rules, now: clock() });
  const prefetching = prefetch.join();
  const keys =
    prefetching === undefined
      ? verifySignature(jwt, settings.keys, settings.budget)
      : prefetching.then(() => verifySignature(jwt, settings.keys, settings.budget));
  return isPromise(keys) ? keys.then((verifying) => toResult(jwt, verifying, settings)) : toResult(jwt, keys, settings);
}

function toResult(
  { header, claims }: ParsedJwt,
  keys: KeySet,
  { rules, watchExpiry }: JwtParts,
): JwtVerificationResult {
  const accessToken = buildAccessToken({ format: 'jwt', issuer: rules.issuer, claims, header }, rules);
  watchExpiry(accessToken.expiresAt);
  return { accessToken, keysVersion: keys.version, until: validUntil(claims, rules) };
}

function parseToken(token: unknown, maxTokenBytes: number): ParsedJwt {
  if (typeof token !== 'string') rejectToken('malformed', 'token', 'a string', typeof token);
  return parseJwt(token, maxTokenBytes);
}

/** The same checks as `verifyToken`, all of them. Keys are only fetched for a token of the configured issuer. */
async function explainToken(token: string, settings: JwtParts): Promise<Explanation> {
  const { rules, maxTokenBytes, clock } = settings;
  const now = clock();
  const segments = typeof token === 'string' ? token.split('.', 6).length : 0;
  let jwt: ParsedJwt;
  try {
    jwt = parseToken(token, maxTokenBytes);
  } catch (error) {
    if (!(error instanceof InvalidTokenError)) throw error;
    const rest = [...JWT_CHECKS.map(({ name }) => name), 'key', 'signature'].map((name) => notReached(name));
    return toExplanation([failedCheck('form', error, { claims: undefined, segments, now }), ...rest]);
  }
  const { header, claims } = jwt;
  const context = { claims, segments, now };
  const checks = explainChecks(JWT_CHECKS, { header, claims, rules, now }, context);
  const needed = ['algorithm', 'critical extensions', 'issuer'];
  const isVerifiable = checks.every(({ name, state }) => state === 'passed' || !needed.includes(name));
  const last = isVerifiable
    ? await explainSignature(jwt, settings, context)
    : [notReached('key'), notReached('signature')];
  return toExplanation([passedCheck('form'), ...checks, ...last]);
}

async function explainSignature(jwt: ParsedJwt, { keys }: JwtParts, context: TokenContext): Promise<ExplainedCheck[]> {
  const { kid } = jwt.header;
  try {
    await verifySignature(jwt, keys);
    return [passedCheck('key', undefined, kid), passedCheck('signature')];
  } catch (error) {
    if (error instanceof UpstreamError) {
      return [notReached('key', kid, describeUpstreamError(error)), notReached('signature')];
    }
    if (!(error instanceof InvalidTokenError)) throw error;
    return error.reason === 'unknown_key'
      ? [failedCheck('key', error, context), notReached('signature')]
      : [passedCheck('key', undefined, kid), failedCheck('signature', error, context)];
  }
}
