import { InvalidTokenError, UpstreamError } from '../errors.js';
import { count, describe, readOptions, type Rules, seconds } from '../options.js';
import type { AccessToken } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { parseJwt } from '../token/parse-jwt.js';
import { sharedRules, systemClock } from './shared-options.js';
import { type IssuerRegistry, isVerifier, type IssuerResolver, problem, DynamicIssuers } from './dynamic-issuers.js';
import type { TokenVerifier, VerifierHealth } from './token-verifier.js';

/** What `trustedIssuers` takes beside a resolver. */
export interface TrustedIssuersOptions {
  /** How many verifiers are kept; the one whose last good token is oldest goes for a new one. 1 to 10,000. @default 100 */
  maxIssuers?: number;
  /** How long what the resolver said is believed. Seconds, 1 to 86,400. @default 300 */
  maxAge?: number;
  /** What time it is: seconds since the epoch. @default the system clock */
  clock?: () => number;
}

const rules: Rules<TrustedIssuersOptions> = {
  maxIssuers: count('verifiers', 1, 10_000, 'Leave it out for 100.'),
  maxAge: seconds(1, 86_400, 'Leave it out for 300.'),
  clock: sharedRules.clock,
};

/** Longer tokens are not looked into. */
const MAX_TOKEN_BYTES = 1_048_576;

/**
 * One verifier out of many. JWTs go by their `iss`, which is not verified then, to the verifier that is configured for
 * exactly this issuer; tokens that are no JWT go to those that take opaque ones, in the order given, until one says yes.
 * A JWT of any other issuer is refused without an outgoing request.
 *
 * @throws ConfigurationError for no verifiers, two for one issuer, or an option that is unknown or wrong.
 */
export function trustedIssuers(
  verifiers: readonly TokenVerifier[] | IssuerResolver,
  options: TrustedIssuersOptions = {},
): Required<Omit<TokenVerifier, 'issuer'>> {
  const {
    maxIssuers = 100,
    maxAge = 300,
    clock = systemClock,
  } = readOptions<TrustedIssuersOptions>('trustedIssuers', options, rules);
  const registry =
    typeof verifiers === 'function' ? new DynamicIssuers(verifiers, { maxIssuers, maxAge, clock }) : listOf(verifiers);
  const recallFrom = (candidates: readonly TokenVerifier[], token: string): AccessToken | undefined => {
    for (const verifier of candidates) {
      const remembered = verifier.recall?.(token);
      if (remembered !== undefined) return remembered;
    }
    return undefined;
  };
  return {
    acceptsOpaqueTokens: registry.opaque.length > 0,
    verify: async (token) => {
      const iss = issuerOf(token);
      if (iss === undefined) return verifyOpaque(registry.opaque, token);
      const accessToken = iss === '' ? undefined : await registry.verify(iss, token);
      if (accessToken === undefined) throw new InvalidTokenError('issuer_mismatch');
      return accessToken;
    },
    recall: (token) => {
      const iss = issuerOf(token);
      return iss === undefined ? recallFrom(registry.opaque, token) : registry.known(iss)?.recall?.(token);
    },
    ready: async () => {
      await Promise.all(registry.all().map(async (verifier) => verifier.ready?.()));
    },
    health: () => ({ issuers: healthOf(registry.all()) }),
    invalidate: async (token) => {
      await Promise.all(registry.all().map(async (verifier) => verifier.invalidate?.(token)));
    },
    close: async () => {
      await Promise.all(registry.all().map(async (verifier) => verifier.close?.()));
    },
  };
}

/** `iss` of what has the form of a JWT, '' where it names none; `undefined` of anything else. */
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

async function verifyOpaque(verifiers: readonly TokenVerifier[], token: string): Promise<AccessToken> {
  let refusal: unknown = new InvalidTokenError('malformed');
  for (const verifier of verifiers) {
    try {
      return await verifier.verify(token);
    } catch (error) {
      const isRefusal = error instanceof InvalidTokenError || error instanceof UpstreamError;
      if (!isRefusal) throw error;
      // Where one of them could not be asked, nobody knows that the token is bad.
      if (!(refusal instanceof UpstreamError)) refusal = error;
    }
  }
  throw refusal;
}

function healthOf(verifiers: readonly TokenVerifier[]): Record<string, VerifierHealth> {
  return Object.fromEntries(
    verifiers.map((verifier, i) => [verifier.issuer ?? `verifier ${i}`, verifier.health?.() ?? {}]),
  );
}

function listOf(verifiers: unknown): IssuerRegistry {
  const list: unknown[] = Array.isArray(verifiers) ? verifiers : [];
  const checked = list.filter(isVerifier);
  if (checked.length === 0 || checked.length < list.length || !Array.isArray(verifiers)) {
    throw problem(
      'a non-empty array of verifiers, or a function of iss',
      describe(verifiers),
      'Pass jwtVerifier(...).',
    );
  }
  const byIssuer = new Map<string, TokenVerifier>();
  for (const verifier of checked) {
    if (verifier.issuer === undefined) continue;
    if (byIssuer.has(verifier.issuer)) {
      const got = `two for ${describe(verifier.issuer)}`;
      throw problem('one verifier for each issuer', got, 'Keep one; its audience may be an array.');
    }
    byIssuer.set(verifier.issuer, verifier);
  }
  return {
    known: (iss) => byIssuer.get(iss),
    verify: async (iss, token) => byIssuer.get(iss)?.verify(token),
    opaque: checked.filter((verifier) => verifier.acceptsOpaqueTokens ?? verifier.issuer === undefined),
    all: () => checked,
  };
}
