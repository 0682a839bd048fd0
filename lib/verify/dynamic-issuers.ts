import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ConfigurationError, type FailedCheck, InvalidTokenError } from '../errors.js';
import { BoundedCache } from '../util/bounded-cache.js';
import { SingleFlight } from '../util/single-flight.js';
import { isPromise } from '../util/is-promise.js';
import type { AccessToken } from '../token/access-token.js';
import { introspectionVerifier } from './introspection.js';
import type { IntrospectionVerifierOptions } from './introspection-options.js';
import { jwtVerifier } from './jwt.js';
import type { JwtVerifierOptions } from './jwt-options.js';
import { isLimitedIssuer, isVerifier, limitIssuer, type TrustedIssuer } from './issuer-limits.js';
import { snapshotOf } from './options-snapshot.js';
import type { TokenVerifier, VerifierContext } from './token-verifier.js';

/** A verifier, an entry with limits, or the options of a verifier, for exactly the requested issuer. */
export type ResolvedIssuer = TokenVerifier | TrustedIssuer | JwtVerifierOptions | IntrospectionVerifierOptions;

/**
 * Finds the tenant of an issuer; returns nothing if the issuer is not trusted. `iss` comes from an unverified token: look
 * it up, fetch nothing from it. Verifiers that are created from options are closed when they are evicted; a verifier that
 * the resolver created must be closed by the application.
 */
export type IssuerResolver = (
  iss: string,
) => ResolvedIssuer | null | undefined | Promise<ResolvedIssuer | null | undefined>;

/** The source of the verifiers of several issuers. */
export interface IssuerRegistry {
  /** Verifies with the verifier of an issuer; `undefined` if there is none. A cached result is returned synchronously. */
  verify(
    iss: string,
    token: string,
    context?: VerifierContext,
  ): AccessToken | undefined | Promise<AccessToken | undefined>;
  /** The verifier of an issuer. */
  find(iss: string): Promise<TokenVerifier | undefined>;
  /** The error for a JWT of an issuer without a verifier. */
  unknownIssuer(iss: string): InvalidTokenError;
  /** The verifiers of tokens that name no issuer. */
  readonly opaque: readonly TokenVerifier[];
  all(): readonly TokenVerifier[];
}

export interface DynamicIssuersOptions {
  readonly maxIssuers: number;
  /** Seconds. */
  readonly maxAge: number;
  /** The clock for ages. */
  readonly clock: () => number;
}

interface DynamicIssuer {
  readonly verifier: TokenVerifier;
  /** A verifier that the resolver created may be returned by it again, so only others are closed. */
  readonly isOwn: boolean;
  /** What the resolver returned, to find out whether it returns the same later. */
  readonly snapshot: unknown;
  /** By the clock for ages. */
  readonly resolvedAt: number;
  /** When its last token was accepted, counted in accepted tokens; 0 if none was. */
  lastAccepted: number;
  /** Verifications in progress. */
  running: number;
  isDropped: boolean;
}

/** Issuers that the resolver does not know are cached for a short time (seconds), because callers can choose any name. */
const MAX_UNKNOWN = 1_000;
const UNKNOWN_MAX_AGE = 10;

/**
 * Verifiers that are created with the first token of their issuer. `iss` is not verified at that time, so only an
 * accepted token counts as use.
 */
export class DynamicIssuers implements IssuerRegistry {
  readonly opaque: readonly TokenVerifier[] = [];
  readonly #resolve: IssuerResolver;
  readonly #options: DynamicIssuersOptions;
  readonly #tenants = new Map<string, DynamicIssuer>();
  readonly #unknown: BoundedCache<true>;
  readonly #resolving = new SingleFlight<DynamicIssuer | undefined>();
  #acceptedTokens = 0;

  constructor(resolve: IssuerResolver, options: DynamicIssuersOptions) {
    this.#resolve = resolve;
    this.#options = options;
    this.#unknown = new BoundedCache({ maxEntries: MAX_UNKNOWN, clock: options.clock });
  }

  all(): readonly TokenVerifier[] {
    return [...this.#tenants.values()].map(({ verifier }) => verifier);
  }

  verify(iss: string, token: string, context?: VerifierContext): ReturnType<IssuerRegistry['verify']> {
    const tenant = iss === '' ? undefined : this.#known(iss);
    if (tenant === undefined) return iss === '' ? undefined : this.#findAndVerify(iss, token, context);
    const result = tenant.verifier.verify(token, context);
    if (isPromise(result)) return this.#finish(tenant, result);
    tenant.lastAccepted = ++this.#acceptedTokens;
    return result;
  }

  async find(iss: string): Promise<TokenVerifier | undefined> {
    if (iss === '') return undefined;
    return (this.#known(iss) ?? (await this.#find(iss)))?.verifier;
  }

  unknownIssuer(iss: string): InvalidTokenError {
    return issuerMismatch('an issuer that the resolver knows', iss);
  }

  async #findAndVerify(iss: string, token: string, context?: VerifierContext): Promise<AccessToken | undefined> {
    const tenant = await this.#find(iss);
    return tenant === undefined ? undefined : this.#finish(tenant, tenant.verifier.verify(token, context));
  }

  async #finish(tenant: DynamicIssuer, result: AccessToken | PromiseLike<AccessToken>): Promise<AccessToken> {
    tenant.running++;
    try {
      const accessToken = await result;
      tenant.lastAccepted = ++this.#acceptedTokens;
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
    // Databases return null for a row that does not exist.
    const resolved = (await this.#resolve(iss)) ?? undefined;
    const before = this.#tenants.get(iss);
    // The resolver may have changed the object that it returned before.
    const snapshot = snapshotOf(resolved);
    const isSame = before !== undefined && isDeepStrictEqual(before.snapshot, snapshot);
    if (before !== undefined && !isSame) this.#drop(iss, before);
    if (resolved === undefined) return undefined;
    const resolvedAt = this.#options.clock();
    const tenant: DynamicIssuer = isSame
      ? Object.assign(before, { resolvedAt })
      : { ...makeVerifier(iss, resolved), snapshot, resolvedAt, lastAccepted: 0, running: 0, isDropped: false };
    this.#makeRoom(iss);
    this.#tenants.set(iss, tenant);
    return tenant;
  }

  #makeRoom(iss: string): void {
    if (this.#tenants.has(iss) || this.#tenants.size < this.#options.maxIssuers) return;
    const [oldest] = [...this.#tenants].sort(([, one], [, other]) => one.lastAccepted - other.lastAccepted);
    if (oldest !== undefined) this.#drop(...oldest);
  }

  #drop(iss: string, tenant: DynamicIssuer): void {
    this.#tenants.delete(iss);
    tenant.isDropped = true;
    this.#closeUnused(tenant);
  }

  #closeUnused({ isDropped, running, isOwn, verifier }: DynamicIssuer): void {
    if (!isDropped || running > 0 || !isOwn) return;
    // No request waits for this, and none fails because of it: it concerns another tenant.
    closeLater(verifier).catch(() => undefined);
  }
}

// Async, so that a `close` that throws is handled like one that rejects.
async function closeLater(verifier: TokenVerifier): Promise<void> {
  await verifier.close?.();
}

function makeVerifier(iss: string, resolved: ResolvedIssuer): Pick<DynamicIssuer, 'verifier' | 'isOwn'> {
  const isOwn = !isVerifier(resolved) && !isLimitedIssuer(resolved);
  const verifier = isVerifier(resolved) ? resolved : makeFrom(resolved);
  if (verifier.issuer === iss) return { verifier, isOwn };
  throw problem(
    'the resolver to return the issuer it was called with',
    'another issuer',
    'Return options of that issuer.',
  );
}

function makeFrom(options: TrustedIssuer | JwtVerifierOptions | IntrospectionVerifierOptions): TokenVerifier {
  if (isLimitedIssuer(options)) return limitIssuer(options);
  // `jwtVerifier` reports a value that is not an object.
  if (typeof options !== 'object') return jwtVerifier(options);
  const isForIntrospection = 'introspectionEndpoint' in options || 'clientId' in options;
  return isForIntrospection ? introspectionVerifier(options) : jwtVerifier(options as JwtVerifierOptions);
}

/** The failed check of a JWT whose issuer has no verifier. */
export function issuerMismatch(expected: unknown, found: string): InvalidTokenError {
  const cause: FailedCheck = { checked: 'iss', expected, found };
  return new InvalidTokenError('issuer_mismatch', { cause });
}

export function problem(expected: string, got: string, fix: string): ConfigurationError {
  return new ConfigurationError({ option: 'trustedIssuers', expected, got, fix });
}
