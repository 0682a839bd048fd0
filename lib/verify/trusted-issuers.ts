import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ConfigurationError, InvalidTokenError, UpstreamError } from '../errors.js';
import { count, describe, readOptions, type Rules, seconds } from '../options.js';
import { BoundedMemory } from '../store/memory.js';
import type { AccessToken } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { parseJwt } from '../token/jwt.js';
import { introspectionVerifier } from './introspection.js';
import type { IntrospectionVerifierOptions } from './introspection-options.js';
import { jwtVerifier } from './jwt.js';
import type { JwtVerifierOptions } from './jwt-options.js';
import { sharedRules, systemClock } from './shared-options.js';
import type { TokenVerifier, VerifierHealth } from './token-verifier.js';

/** A verifier, or the options of one, for exactly the issuer that was asked for. */
export type ResolvedIssuer = TokenVerifier | JwtVerifierOptions | IntrospectionVerifierOptions;

/**
 * Finds the tenant that an issuer stands for, or nothing where the issuer is not trusted. `iss` is what an unverified
 * token says: look it up, fetch nothing from it. Verifiers made of options are closed when they are evicted; one that the
 * resolver has made is its own to close.
 */
export type IssuerResolver = (
  iss: string,
) => ResolvedIssuer | null | undefined | Promise<ResolvedIssuer | null | undefined>;

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

/** Where the verifiers of several issuers come from. */
interface Directory {
  /** The verifier of an issuer, at once; `undefined` where there is none, or it has to be looked up. */
  known(iss: string): TokenVerifier | undefined;
  /** Verifies with the verifier of an issuer; `undefined` where there is none. */
  verify(iss: string, token: string): Promise<AccessToken | undefined>;
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
      const accessToken = iss === '' ? undefined : await directory.verify(iss, token);
      if (accessToken === undefined) throw new InvalidTokenError('issuer_mismatch');
      return accessToken;
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
    verify: async (iss, token) => byIssuer.get(iss)?.verify(token),
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
  readonly resolved: ResolvedIssuer;
  /** Seconds since the epoch. */
  readonly resolvedAt: number;
  /** When one of its tokens was good, counted in tokens; 0 where none was yet. */
  lastGood: number;
  /** Verifications under way. */
  running: number;
  isDropped: boolean;
}

/** How many issuers that nobody knows are remembered, and for how long (seconds): callers make them up. */
const MAX_UNKNOWN = 1_000;
const UNKNOWN_MAX_AGE = 10;

/**
 * Verifiers that are made when the first token of their issuer comes by. `iss` is unverified when they are looked for, so
 * only a token that was good says that one is in use: forged ones push out nobody who is.
 */
class Tenants implements Directory {
  readonly opaque: readonly TokenVerifier[] = [];
  readonly #resolve: IssuerResolver;
  readonly #options: Required<TrustedIssuersOptions>;
  readonly #tenants = new Map<string, Tenant>();
  readonly #unknown: BoundedMemory<true>;
  readonly #resolving = new Map<string, Promise<Tenant | undefined>>();
  #goodTokens = 0;

  constructor(resolve: IssuerResolver, options: Required<TrustedIssuersOptions>) {
    this.#resolve = resolve;
    this.#options = options;
    this.#unknown = new BoundedMemory({ maxEntries: MAX_UNKNOWN, clock: options.clock });
  }

  all(): readonly TokenVerifier[] {
    return [...this.#tenants.values()].map(({ verifier }) => verifier);
  }

  known(iss: string): TokenVerifier | undefined {
    return this.#known(iss)?.verifier;
  }

  async verify(iss: string, token: string): Promise<AccessToken | undefined> {
    const tenant = this.#known(iss) ?? (await this.#find(iss));
    if (tenant === undefined) return undefined;
    tenant.running++;
    try {
      const accessToken = await tenant.verifier.verify(token);
      tenant.lastGood = ++this.#goodTokens;
      return accessToken;
    } finally {
      tenant.running--;
      this.#closeUnused(tenant);
    }
  }

  #known(iss: string): Tenant | undefined {
    const tenant = this.#tenants.get(iss);
    if (tenant === undefined || this.#options.clock() >= tenant.resolvedAt + this.#options.maxAge) return undefined;
    return tenant;
  }

  async #find(iss: string): Promise<Tenant | undefined> {
    const key = hash('sha256', iss, 'base64');
    if (this.#unknown.get(key) === true) return undefined;
    const same = this.#resolving.get(iss);
    if (same !== undefined) return same;
    const resolving = this.#lookUp(iss).finally(() => {
      this.#resolving.delete(iss);
    });
    this.#resolving.set(iss, resolving);
    const tenant = await resolving;
    if (tenant === undefined) this.#unknown.set(key, true, this.#options.clock() + UNKNOWN_MAX_AGE);
    return tenant;
  }

  async #lookUp(iss: string): Promise<Tenant | undefined> {
    // A database that finds nothing likes to say null.
    const resolved = (await this.#resolve(iss)) ?? undefined;
    const before = this.#tenants.get(iss);
    const isSame = before !== undefined && isSameIssuer(before.resolved, resolved);
    if (before !== undefined && !isSame) this.#drop(iss, before);
    if (resolved === undefined) return undefined;
    const resolvedAt = this.#options.clock();
    const tenant: Tenant = isSame
      ? Object.assign(before, { resolvedAt })
      : { verifier: makeVerifier(iss, resolved), resolved, resolvedAt, lastGood: 0, running: 0, isDropped: false };
    this.#makeRoom(iss);
    this.#tenants.set(iss, tenant);
    return tenant;
  }

  #makeRoom(iss: string): void {
    if (this.#tenants.has(iss) || this.#tenants.size < this.#options.maxIssuers) return;
    const [oldest] = [...this.#tenants].sort(([, one], [, other]) => one.lastGood - other.lastGood);
    if (oldest !== undefined) this.#drop(...oldest);
  }

  #drop(iss: string, tenant: Tenant): void {
    this.#tenants.delete(iss);
    tenant.isDropped = true;
    this.#closeUnused(tenant);
  }

  // What the resolver has made itself is its own to close: it may give it again.
  #closeUnused({ isDropped, running, resolved, verifier }: Tenant): void {
    if (!isDropped || running > 0 || isVerifier(resolved)) return;
    // No request waits for that, and none fails by it: it is about another tenant.
    closeLater(verifier).catch(() => undefined);
  }
}

// Async, so that a `close` that throws instead of rejecting is no special case.
async function closeLater(verifier: TokenVerifier): Promise<void> {
  await verifier.close?.();
}

/** Options are the same where they say the same; of verifiers, one cannot see what they do. */
function isSameIssuer(before: ResolvedIssuer, now: unknown): boolean {
  return isVerifier(before) || isVerifier(now) ? before === now : isDeepStrictEqual(before, now);
}

function makeVerifier(iss: string, resolved: ResolvedIssuer): TokenVerifier {
  const verifier = isVerifier(resolved) ? resolved : makeFrom(resolved);
  if (verifier.issuer === iss) return verifier;
  throw problem('what is resolved to be for the issuer that was asked for', 'another issuer', 'Give it that issuer.');
}

function makeFrom(options: JwtVerifierOptions | IntrospectionVerifierOptions): TokenVerifier {
  // What is no object of options is told so by `jwtVerifier`.
  if (typeof options !== 'object') return jwtVerifier(options);
  const isForIntrospection = 'introspectionEndpoint' in options || 'clientId' in options;
  return isForIntrospection ? introspectionVerifier(options) : jwtVerifier(options as JwtVerifierOptions);
}
