import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ConfigurationError } from '../errors.js';
import { BoundedCache } from '../util/bounded-cache.js';
import type { AccessToken } from '../token/access-token.js';
import { introspectionVerifier } from './introspection.js';
import type { IntrospectionVerifierOptions } from './introspection-options.js';
import { jwtVerifier } from './jwt.js';
import type { JwtVerifierOptions } from './jwt-options.js';
import type { TokenVerifier } from './token-verifier.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { SingleFlight } from '../util/single-flight.js';

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

/** Where the verifiers of several issuers come from. */
export interface IssuerRegistry {
  /** The verifier of an issuer, at once; `undefined` where there is none, or it has to be looked up. */
  known(iss: string): TokenVerifier | undefined;
  /** Verifies with the verifier of an issuer; `undefined` where there is none. */
  verify(iss: string, token: string): Promise<AccessToken | undefined>;
  /** Those that take tokens which name no issuer. */
  readonly opaque: readonly TokenVerifier[];
  all(): readonly TokenVerifier[];
}

export interface DynamicIssuersOptions {
  readonly maxIssuers: number;
  /** Seconds. */
  readonly maxAge: number;
  /** Seconds since the epoch. */
  readonly clock: () => number;
}

interface DynamicIssuer {
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
export class DynamicIssuers implements IssuerRegistry {
  readonly opaque: readonly TokenVerifier[] = [];
  readonly #resolve: IssuerResolver;
  readonly #options: DynamicIssuersOptions;
  readonly #tenants = new Map<string, DynamicIssuer>();
  readonly #unknown: BoundedCache<true>;
  readonly #resolving = new SingleFlight<DynamicIssuer | undefined>();
  #goodTokens = 0;

  constructor(resolve: IssuerResolver, options: DynamicIssuersOptions) {
    this.#resolve = resolve;
    this.#options = options;
    this.#unknown = new BoundedCache({ maxEntries: MAX_UNKNOWN, clock: options.clock });
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

  #known(iss: string): DynamicIssuer | undefined {
    const tenant = this.#tenants.get(iss);
    if (tenant === undefined || this.#options.clock() >= tenant.resolvedAt + this.#options.maxAge) return undefined;
    return tenant;
  }

  async #find(iss: string): Promise<DynamicIssuer | undefined> {
    const key = hash('sha256', iss, 'base64');
    if (this.#unknown.get(key) === true) return undefined;
    const tenant = await this.#resolving.run(iss, () => this.#lookUp(iss));
    if (tenant === undefined) this.#unknown.set(key, true, this.#options.clock() + UNKNOWN_MAX_AGE);
    return tenant;
  }

  async #lookUp(iss: string): Promise<DynamicIssuer | undefined> {
    // A database that finds nothing likes to say null.
    const resolved = (await this.#resolve(iss)) ?? undefined;
    const before = this.#tenants.get(iss);
    const isSame = before !== undefined && isSameIssuer(before.resolved, resolved);
    if (before !== undefined && !isSame) this.#drop(iss, before);
    if (resolved === undefined) return undefined;
    const resolvedAt = this.#options.clock();
    const tenant: DynamicIssuer = isSame
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

  #drop(iss: string, tenant: DynamicIssuer): void {
    this.#tenants.delete(iss);
    tenant.isDropped = true;
    this.#closeUnused(tenant);
  }

  // What the resolver has made itself is its own to close: it may give it again.
  #closeUnused({ isDropped, running, resolved, verifier }: DynamicIssuer): void {
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

export function isVerifier(value: unknown): value is TokenVerifier {
  return isPlainObject(value) && typeof value.verify === 'function';
}

export function problem(expected: string, got: string, fix: string): ConfigurationError {
  return new ConfigurationError({ option: 'trustedIssuers', expected, got, fix });
}
