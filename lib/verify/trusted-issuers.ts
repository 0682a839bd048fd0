import { isDeepStrictEqual } from 'node:util';
import { ConfigurationError, InvalidTokenError, UpstreamError } from '../errors.js';
import { count, describe, readOptions, type Rules, seconds } from '../options.js';
import type { AccessToken } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { parseJwt } from '../token/jwt.js';
import { jwtVerifier } from './jwt.js';
import type { JwtVerifierOptions } from './jwt-options.js';
import { systemClock } from './shared-options.js';
import type { TokenVerifier, VerifierHealth } from './token-verifier.js';

/**
 * Finds the tenant that an issuer stands for: a verifier, or the options of a `jwtVerifier` for exactly this issuer, or
 * nothing where the issuer is not trusted. `iss` is what an unverified token says: look it up, fetch nothing from it.
 */
export type IssuerResolver = (
  iss: string,
) => TokenVerifier | JwtVerifierOptions | undefined | Promise<TokenVerifier | JwtVerifierOptions | undefined>;

/** What `trustedIssuers` takes beside a resolver. */
export interface TrustedIssuersOptions {
  /** How many verifiers are kept; the one not used for longest is closed for a new one. 1 to 10,000. @default 100 */
  maxIssuers?: number;
  /** How long what the resolver said is believed. Seconds, 1 to 86,400. @default 300 */
  maxAge?: number;
  /** What time it is: seconds since the epoch. @default the system clock */
  clock?: () => number;
}

const rules: Rules<TrustedIssuersOptions> = {
  maxIssuers: count('verifiers', 1, 10_000, 'Leave it out for 100.'),
  maxAge: seconds(1, 86_400, 'Leave it out for 300.'),
  clock: {
    expected: 'a function that gives seconds since the epoch',
    fix: 'Leave it out for the system clock.',
    parse: (value) => (typeof value === 'function' ? (value as () => number) : undefined),
  },
};

/** Longer tokens are not looked into. */
const MAX_TOKEN_BYTES = 1_048_576;

/** Where the verifiers of several issuers come from. */
interface Directory {
  /** The verifier of an issuer, at once; `undefined` where there is none, or it has to be looked up. */
  known(iss: string): TokenVerifier | undefined;
  find(iss: string): Promise<TokenVerifier | undefined>;
  /** Those that take tokens which name no issuer. */
  readonly opaque: readonly TokenVerifier[];
  all(): readonly TokenVerifier[];
}

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
  const directory =
    typeof verifiers === 'function' ? new Tenants(verifiers, { maxIssuers, maxAge, clock }) : listOf(verifiers);
  const recallFrom = (candidates: readonly TokenVerifier[], token: string): AccessToken | undefined => {
    for (const verifier of candidates) {
      const remembered = verifier.recall?.(token);
      if (remembered !== undefined) return remembered;
    }
    return undefined;
  };
  return {
    takesOpaqueTokens: directory.opaque.length > 0,
    verify: async (token) => {
      const iss = issuerOf(token);
      if (iss === undefined) return verifyOpaque(directory.opaque, token);
      const verifier = iss === '' ? undefined : await directory.find(iss);
      if (verifier === undefined) throw new InvalidTokenError('issuer_mismatch');
      return verifier.verify(token);
    },
    recall: (token) => {
      const iss = issuerOf(token);
      return iss === undefined ? recallFrom(directory.opaque, token) : directory.known(iss)?.recall?.(token);
    },
    ready: async () => {
      await Promise.all(directory.all().map(async (verifier) => verifier.ready?.()));
    },
    health: () => ({ issuers: healthOf(directory.all()) }),
    forget: async (token) => {
      await Promise.all(directory.all().map(async (verifier) => verifier.forget?.(token)));
    },
    close: async () => {
      await Promise.all(directory.all().map(async (verifier) => verifier.close?.()));
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

function listOf(verifiers: unknown): Directory {
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
    find: (iss) => Promise.resolve(byIssuer.get(iss)),
    opaque: checked.filter((verifier) => verifier.takesOpaqueTokens ?? verifier.issuer === undefined),
    all: () => checked,
  };
}

function isVerifier(value: unknown): value is TokenVerifier {
  return typeof value === 'object' && value !== null && 'verify' in value && typeof value.verify === 'function';
}

function problem(expected: string, got: string, fix: string): ConfigurationError {
  return new ConfigurationError({ option: 'trustedIssuers', expected, got, fix });
}

interface Tenant {
  readonly verifier: TokenVerifier;
  readonly resolved: TokenVerifier | JwtVerifierOptions;
  /** Seconds since the epoch. */
  readonly resolvedAt: number;
}

/** Verifiers that are made when the first token of their issuer comes by, kept while it is one of the most recent. */
class Tenants implements Directory {
  readonly opaque: readonly TokenVerifier[] = [];
  readonly #resolve: IssuerResolver;
  readonly #options: Required<TrustedIssuersOptions>;
  // In the order of use: the first is the one to go.
  readonly #tenants = new Map<string, Tenant>();
  readonly #resolving = new Map<string, Promise<TokenVerifier | undefined>>();

  constructor(resolve: IssuerResolver, options: Required<TrustedIssuersOptions>) {
    this.#resolve = resolve;
    this.#options = options;
  }

  all(): readonly TokenVerifier[] {
    return [...this.#tenants.values()].map(({ verifier }) => verifier);
  }

  known(iss: string): TokenVerifier | undefined {
    const tenant = this.#tenants.get(iss);
    if (tenant === undefined || this.#options.clock() >= tenant.resolvedAt + this.#options.maxAge) return undefined;
    this.#tenants.delete(iss);
    this.#tenants.set(iss, tenant);
    return tenant.verifier;
  }

  find(iss: string): Promise<TokenVerifier | undefined> {
    const known = this.known(iss);
    if (known !== undefined) return Promise.resolve(known);
    const same = this.#resolving.get(iss);
    if (same !== undefined) return same;
    const resolving = this.#lookUp(iss).finally(() => {
      this.#resolving.delete(iss);
    });
    this.#resolving.set(iss, resolving);
    return resolving;
  }

  async #lookUp(iss: string): Promise<TokenVerifier | undefined> {
    const resolved = await this.#resolve(iss);
    const before = this.#tenants.get(iss);
    const isSame = before !== undefined && isSameTenant(before.resolved, resolved);
    if (before !== undefined && !isSame) this.#drop(iss, before);
    if (resolved === undefined) return undefined;
    const verifier = isSame ? before.verifier : makeVerifier(iss, resolved);
    this.#tenants.delete(iss);
    this.#tenants.set(iss, { verifier, resolved, resolvedAt: this.#options.clock() });
    const [oldest] = this.#tenants;
    if (this.#tenants.size > this.#options.maxIssuers && oldest !== undefined) this.#drop(...oldest);
    return verifier;
  }

  #drop(iss: string, { verifier }: Tenant): void {
    this.#tenants.delete(iss);
    // No request waits for that, and none fails by it: it is about another tenant.
    closeLater(verifier).catch(() => undefined);
  }
}

// Async, so that a `close` that throws instead of rejecting is no special case.
async function closeLater(verifier: TokenVerifier): Promise<void> {
  await verifier.close?.();
}

/** Options are the same where they say the same; of verifiers, one cannot see what they do. */
function isSameTenant(before: TokenVerifier | JwtVerifierOptions, now: unknown): boolean {
  return isVerifier(before) || isVerifier(now) ? before === now : isDeepStrictEqual(before, now);
}

function makeVerifier(iss: string, resolved: TokenVerifier | JwtVerifierOptions): TokenVerifier {
  const verifier = isVerifier(resolved) ? resolved : jwtVerifier(resolved);
  if (verifier.issuer === iss) return verifier;
  throw problem('what is resolved to be for the issuer that was asked for', 'another issuer', 'Give it that issuer.');
}
