import { resultClockOf, systemClock } from '../util/clock.js';
import { InvalidTokenError, UpstreamError, makeFailedCheck } from '../errors.js';
import { count, describe, readOptions, type Rules, seconds } from '../options.js';
import type { AccessToken } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { type Explanation, failedCheck, passedCheck, toExplanation } from '../token/checks.js';
import { parseJwt } from '../token/parse-jwt.js';
import { digestIn } from '../token/token-digest.js';
import { BoundedCache } from '../util/bounded-cache.js';
import { isPromise } from '../util/is-promise.js';
import {
  DynamicIssuers,
  issuerMismatch,
  type IssuerRegistry,
  type IssuerResolver,
  problem,
} from './dynamic-issuers.js';
import { explainWith } from './explain.js';
import { checkArguments } from './issuer-arguments.js';
import { isLimitedIssuer, limitIssuer, type TrustedIssuer } from './issuer-limits.js';
import { isVerifier } from './wrap-verifier.js';
import { sharedRules } from './shared-options.js';
import { endSignals } from './token-signals.js';
import type { TokenVerifier, VerifierContext, VerifierHealth } from './token-verifier.js';

/** Options of `trustedIssuers`; the first two are for a resolver. */
export interface TrustedIssuersOptions {
  /**
   * Maximum number of issuers in use. A new one replaces the one whose last valid token is oldest, with its own first valid
   * token. Besides, there are at most 20 issuers without a valid token. 1 to 10,000. @default 100
   */
  maxIssuers?: number | undefined;
  /** How long a result of the resolver is used. Seconds, 1 to 86,400. @default 300 */
  maxAge?: number | undefined;
  /** The current time in seconds since the epoch. @default the clock of the first verifier, or the system clock */
  clock?: (() => number) | undefined;
}

/** What `trustedIssuers` returns. */
export interface TrustedIssuersVerifier extends TokenVerifier {
  readonly acceptsOpaqueTokens: boolean;
  explain(token: string): Promise<Explanation>;
  ready(): Promise<void>;
  health(): VerifierHealth;
  invalidate(token: string): Promise<void>;
  close(): Promise<void>;
}

const rules: Rules<TrustedIssuersOptions> = {
  maxIssuers: count('verifiers', 1, 10_000, 'Leave it out for 100.'),
  maxAge: seconds(1, 86_400, 'Leave it out for 300.'),
  clock: sharedRules.clock,
};

/** Longer tokens are not parsed. */
const MAX_TOKEN_BYTES = 1_048_576;

/** A JWT goes to the verifier of its issuer, another token to the verifier that accepted it. */
type Route = string | TokenVerifier;

/** The routes of accepted tokens are cached, so that a token whose result is cached is not parsed. */
const MAX_ROUTES = 10_000;
const ROUTE_MAX_AGE = 3_600;

/**
 * Combines verifiers. A JWT goes to the verifier that is configured for exactly its `iss`, which is not verified yet; if
 * a JWT verifier and an introspection verifier share an issuer, to the JWT verifier. Other tokens go to the verifiers that
 * accept opaque tokens, in the given order, until one accepts the token. A JWT of any other issuer is rejected without an
 * outgoing request.
 *
 * @throws ConfigurationError for no verifiers, two of the same kind for one issuer, or an option that is unknown or wrong.
 */
export function trustedIssuers(
  verifiers: readonly (TokenVerifier | TrustedIssuer)[] | IssuerResolver,
  options: TrustedIssuersOptions = {},
): TrustedIssuersVerifier {
  checkArguments(verifiers, options);
  const given = readOptions<TrustedIssuersOptions>('trustedIssuers', options, rules);
  const { maxIssuers = 100, maxAge = 300 } = given;
  const list = typeof verifiers === 'function' ? [] : readVerifiers(verifiers);
  const clock = given.clock ?? list[0]?.clock ?? systemClock;
  const resultClock = resultClockOf(clock);
  const registry =
    typeof verifiers === 'function'
      ? new DynamicIssuers(verifiers, { maxIssuers, maxAge, clock: resultClock })
      : new StaticIssuers(list);
  const routes = new BoundedCache<Route>({ maxEntries: MAX_ROUTES, clock: resultClock });

  const findRoute = async (token: string, key: string, context?: VerifierContext): Promise<AccessToken> => {
    const saveRoute = (route: Route): void => {
      routes.set(key, route, resultClock() + ROUTE_MAX_AGE);
    };
    const iss = issuerOf(token);
    if (iss === undefined) return verifyOpaque(registry.opaque, token, saveRoute, context);
    const accessToken = await registry.verify(iss, token, context);
    if (accessToken === undefined) throw registry.unknownIssuer(iss);
    saveRoute(iss);
    return accessToken;
  };
  // A route may be out of date: the issuer may have been removed, another server may accept the opaque token now.
  const follow = async (
    route: Route,
    result: PromiseLike<AccessToken | undefined> | undefined,
    retry: () => Promise<AccessToken>,
  ): Promise<AccessToken> => {
    try {
      return (await result) ?? (await retry());
    } catch (error) {
      if (typeof route === 'string' || registry.opaque.length === 1 || !isRejection(error)) throw error;
      return retry();
    }
  };

  return {
    // A rule of a profile about requests applies only if it is the rule of all issuers.
    profile: list.every(({ profile }) => profile === list[0]?.profile) ? list[0]?.profile : undefined,
    clock,
    acceptsOpaqueTokens: registry.opaque.length > 0,
    allowsAnyTokenCharacters: registry.opaque.some((verifier) => verifier.allowsAnyTokenCharacters === true),
    verify: (token, context) => {
      const key = digestIn(context, token);
      const route = routes.get(key);
      const retry = (): Promise<AccessToken> => findRoute(token, key, context);
      if (route === undefined) return retry();
      const result = typeof route === 'string' ? registry.verify(route, token, context) : route.verify(token, context);
      return result === undefined || isPromise(result) ? follow(route, result, retry) : result;
    },
    explain: (token) => explainRoute(token, registry),
    ready: async () => {
      await Promise.all(registry.all().map(async (verifier) => verifier.ready?.()));
    },
    health: () => {
      const issuers = healthOf(registry.all());
      const states = Object.values(issuers);
      return { isReady: states.length === 0 || states.some(({ isReady }) => isReady !== false), issuers };
    },
    invalidate: async (token) => {
      endSignals(token);
      await registry.invalidate(token, issuerOf(token));
    },
    close: async () => {
      await Promise.all(registry.all().map(async (verifier) => verifier.close?.()));
    },
  };
}

/** `iss` of a token that has the form of a JWT, '' if it has none; `undefined` for other tokens. */
function issuerOf(token: string): string | undefined {
  if (typeof token !== 'string') return undefined;
  try {
    const iss = claim(parseJwt(token, MAX_TOKEN_BYTES).claims, 'iss');
    return typeof iss === 'string' ? iss : '';
  } catch (error) {
    if (error instanceof InvalidTokenError) return undefined;
    throw error;
  }
}

async function verifyOpaque(
  verifiers: readonly TokenVerifier[],
  token: string,
  saveRoute: (verifier: TokenVerifier) => void,
  context?: VerifierContext,
): Promise<AccessToken> {
  let failure: unknown = noOpaqueVerifier();
  for (const verifier of verifiers) {
    try {
      const accessToken = await verifier.verify(token, context);
      saveRoute(verifier);
      return accessToken;
    } catch (error) {
      if (!isRejection(error)) throw error;
      // If one server was unavailable, the token may be valid there.
      if (!(failure instanceof UpstreamError)) failure = error;
    }
  }
  throw failure;
}

/** Which verifier was chosen and why, then the checks of that verifier. */
async function explainRoute(token: string, registry: IssuerRegistry): Promise<Explanation> {
  const iss = issuerOf(token);
  const name = 'choice of the verifier';
  if (iss !== undefined) {
    const verifier = await registry.find(iss);
    if (verifier === undefined) {
      const context = { claims: undefined, segments: 3, now: 0 };
      return toExplanation([failedCheck(name, registry.unknownIssuer(iss), context)]);
    }
    const { checks } = await explainWith(verifier, token);
    return toExplanation([passedCheck(name, 'the verifier of this issuer', iss), ...checks]);
  }
  const explanations = await Promise.all(registry.opaque.map((verifier) => explainWith(verifier, token)));
  const accepting = explanations.findIndex(({ accepted }) => accepted === true);
  const { checks: acceptedChecks } = explanations[accepting] ?? {};
  if (acceptedChecks !== undefined) {
    const found = registry.opaque[accepting]?.issuer;
    return toExplanation([
      passedCheck(name, 'the first verifier that accepts this opaque token', found),
      ...acceptedChecks,
    ]);
  }
  const checks = explanations.flatMap((each, i) =>
    each.checks.map((check) => ({ ...check, name: `${registry.opaque[i]?.issuer ?? `verifier ${i}`}: ${check.name}` })),
  );
  if (checks.length > 0) {
    // As in a request: a server that is unavailable may have accepted the token.
    const accepted = explanations.some((each) => each.accepted === undefined) ? undefined : false;
    return { accepted, checks };
  }
  const context = { claims: undefined, segments: 1, now: 0 };
  return toExplanation([failedCheck(name, noOpaqueVerifier(), context)]);
}

/** The error for a token that is not a JWT, if all verifiers are for JWTs. */
function noOpaqueVerifier(): InvalidTokenError {
  const cause = makeFailedCheck('verifiers', 'one for opaque tokens', 'none');
  return new InvalidTokenError('not_a_jwt', { cause });
}

function isRejection(error: unknown): boolean {
  return error instanceof InvalidTokenError || error instanceof UpstreamError;
}

function healthOf(verifiers: readonly TokenVerifier[]): Record<string, VerifierHealth> {
  const health: Record<string, VerifierHealth> = {};
  for (const [i, verifier] of verifiers.entries()) {
    const name = verifier.issuer ?? `verifier ${i}`;
    health[name in health ? `${name} (verifier ${i})` : name] = verifier.health?.() ?? {};
  }
  return health;
}

function readVerifiers(verifiers: unknown): TokenVerifier[] {
  const list: unknown[] = Array.isArray(verifiers) ? verifiers : [];
  const checked = list.map((entry) => (isLimitedIssuer(entry) ? limitIssuer(entry) : entry)).filter(isVerifier);
  if (checked.length > 0 && checked.length === list.length) return checked;
  const isPromised = [verifiers].flat().some((entry) => entry instanceof Promise);
  const fix = isPromised ? 'Await it: it is a promise.' : 'Pass jwtVerifier(...).';
  throw problem('a non-empty array of verifiers, or a function of iss', describe(verifiers), fix);
}

/** The verifiers of a list. */
class StaticIssuers implements IssuerRegistry {
  readonly opaque: readonly TokenVerifier[];
  readonly #verifiers: readonly TokenVerifier[];
  readonly #forJwts = new Map<string, TokenVerifier>();

  constructor(verifiers: readonly TokenVerifier[]) {
    this.#verifiers = verifiers;
    this.opaque = verifiers.filter(acceptsOpaqueTokens);
    const jwtOnly = verifiers.filter((verifier) => !acceptsOpaqueTokens(verifier));
    for (const group of [this.opaque, jwtOnly]) {
      const issuers = new Set<string>();
      for (const verifier of group) {
        const { issuer } = verifier;
        if (issuer === undefined) continue;
        if (issuers.has(issuer)) {
          const found = `two for ${describe(issuer)}`;
          throw problem('one verifier of each kind for each issuer', found, 'Keep one; its audience may be an array.');
        }
        issuers.add(issuer);
        // The second group replaces the first: a JWT verifier needs no request.
        this.#forJwts.set(issuer, verifier);
      }
    }
  }

  verify(iss: string, token: string, context?: VerifierContext): ReturnType<IssuerRegistry['verify']> {
    return this.#forJwts.get(iss)?.verify(token, context);
  }

  find(iss: string): Promise<TokenVerifier | undefined> {
    return Promise.resolve(this.#forJwts.get(iss));
  }

  async invalidate(token: string): Promise<void> {
    await Promise.all(this.#verifiers.map(async (verifier) => verifier.invalidate?.(token)));
  }

  unknownIssuer(iss: string): InvalidTokenError {
    return issuerMismatch([...this.#forJwts.keys()], iss);
  }

  all(): readonly TokenVerifier[] {
    return this.#verifiers;
  }
}

function acceptsOpaqueTokens(verifier: TokenVerifier): boolean {
  return verifier.acceptsOpaqueTokens ?? verifier.issuer === undefined;
}
