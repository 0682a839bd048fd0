import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ConfigurationError, InvalidTokenError, makeFailedCheck, UpstreamError } from '../errors.js';
import { TenantBudget, type TenantBudgets, type TenantReports } from '../issuer/request-budget.js';
import type { AccessToken } from '../token/access-token.js';
import { addressGroup } from '../util/address-group.js';
import { BoundedCache } from '../util/bounded-cache.js';
import { ConcurrencyLimiter } from '../util/concurrency-limiter.js';
import { isPromise } from '../util/is-promise.js';
import { SingleFlight } from '../util/single-flight.js';
import { TimeoutError, withTimeout } from '../util/timeout.js';
import { TokenBucket } from '../util/token-bucket.js';
import { createIntrospectionVerifier } from './introspection.js';
import type { IntrospectionVerifierOptions } from './introspection-options.js';
import { createJwtVerifier } from './jwt.js';
import type { JwtVerifierOptions } from './jwt-options.js';
import { runResolver } from './instances.js';
import { isLimitedIssuer, limitIssuer, type TrustedIssuer } from './issuer-limits.js';
import { isVerifier } from './wrap-verifier.js';
import { snapshotOf } from './options-snapshot.js';
import { type Tenant, TenantPool } from './tenant-pool.js';
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
  /** Removes the result of a token, with the issuer that it names. */
  invalidate(token: string, iss: string | undefined): Promise<void>;
  /** The verifiers of tokens that name no issuer. */
  readonly opaque: readonly TokenVerifier[];
  all(): readonly TokenVerifier[];
}

export interface DynamicIssuersOptions {
  readonly maxIssuers: number;
  /** Seconds. */
  readonly maxAge: number;
  /** The clock for results. */
  readonly clock: () => number;
}

/** Issuers that the resolver does not know are cached for a short time (seconds), because callers can choose any name. */
const MAX_UNKNOWN = 1_000;
const UNKNOWN_MAX_AGE = 10;
/** Of how many tenants, and for how long (seconds), it is known what was reported. */
const REPORTS = { maxEntries: 1_000, maxAge: 86_400 };
/** How long requests wait for the resolver. Seconds. */
const RESOLVER_TIMEOUT = 5;

/**
 * What tokens may cost that were not accepted, of all tenants together: a burst, then one per interval in seconds. A new tenant
 * takes one, and each search for an unknown key. Each is at most two requests to a server with metadata at the first address.
 */
const BUDGET = { capacity: 20, interval: 5 };
/** Maximum number of new tenants whose first token is being verified, of waiting ones, and the maximum waiting time in seconds. */
const FIRST_TOKENS = { limit: () => 10, maxWaiting: 1_000, timeout: 5 };

/**
 * Verifiers that are created with the first token of their issuer. `iss` is not verified at that time, so only an
 * accepted token counts as use.
 */
export class DynamicIssuers implements IssuerRegistry {
  readonly opaque: readonly TokenVerifier[] = [];
  readonly #resolve: IssuerResolver;
  readonly #options: DynamicIssuersOptions;
  readonly #pool: TenantPool;
  readonly #budgets: TenantBudgets;
  readonly #firstTokens = new ConcurrencyLimiter(FIRST_TOKENS);
  readonly #starting = new SingleFlight<AccessToken>();
  readonly #unknown: BoundedCache<true>;
  readonly #reports: BoundedCache<TenantReports>;
  readonly #resolving = new SingleFlight<Found>();

  constructor(resolve: IssuerResolver, options: DynamicIssuersOptions) {
    const { clock, maxIssuers } = options;
    this.#resolve = resolve;
    this.#options = options;
    this.#pool = new TenantPool(maxIssuers);
    this.#budgets = { ofNew: new TokenBucket({ ...BUDGET, clock }), ofUsed: new TokenBucket({ ...BUDGET, clock }) };
    this.#unknown = new BoundedCache({ maxEntries: MAX_UNKNOWN, clock });
    this.#reports = new BoundedCache({ maxEntries: REPORTS.maxEntries, clock });
  }

  all(): readonly TokenVerifier[] {
    return this.#pool.all().map(({ verifier }) => verifier);
  }

  verify(iss: string, token: string, context?: VerifierContext): ReturnType<IssuerRegistry['verify']> {
    if (iss === '') return undefined;
    const tenant = this.#known(iss);
    return tenant === undefined ? this.#findAndVerify(iss, token, context) : this.#verify(tenant, token, context);
  }

  async find(iss: string): Promise<TokenVerifier | undefined> {
    if (iss === '') return undefined;
    const found = this.#known(iss) ?? (await this.#find(iss));
    return (typeof found === 'function' ? found() : found)?.verifier;
  }

  // A tenant that is not in the pool may have a result in a store.
  async invalidate(token: string, iss = ''): Promise<void> {
    const known = this.#pool.get(iss)?.verifier;
    await known?.invalidate?.(token);
    const current = await this.find(iss);
    if (current !== known) await current?.invalidate?.(token);
  }

  unknownIssuer(iss: string): InvalidTokenError {
    return issuerMismatch('an issuer that the resolver knows', iss);
  }

  async #findAndVerify(iss: string, token: string, context?: VerifierContext): Promise<AccessToken | undefined> {
    const found = await this.#find(iss);
    if (typeof found !== 'function') return found && this.#verify(found, token, context);
    // New tenants wait for each other: those with an accepted token give back what they took from the budget. Each has one
    // place, so further tokens of it wait for its first token outside.
    const progress = { hasStarted: false };
    const verifyFirst = async (): Promise<AccessToken | undefined> => {
      progress.hasStarted = true;
      if (this.#starting.isRunning(iss) || this.#pool.get(iss) !== undefined) return undefined;
      return this.#starting.run(iss, async () => this.#verify(found(), token, context));
    };
    const first = await this.#firstTokens
      .run(verifyFirst, addressGroup(context?.remoteAddress))
      .catch((cause: unknown) => {
        throw progress.hasStarted ? cause : new UpstreamError('keys_unavailable', 1, { cause });
      });
    if (first !== undefined) return first;
    await this.#starting.get(iss)?.catch(() => undefined);
    return this.#verify(found(), token, context);
  }

  #verify(tenant: Tenant, token: string, context?: VerifierContext): AccessToken | Promise<AccessToken> {
    const result = tenant.verifier.verify(token, context);
    if (isPromise(result)) return this.#finish(tenant, result);
    this.#pool.accept(tenant);
    return result;
  }

  async #finish(tenant: Tenant, result: PromiseLike<AccessToken>): Promise<AccessToken> {
    tenant.running++;
    try {
      const accessToken = await result;
      this.#pool.accept(tenant);
      return accessToken;
    } finally {
      tenant.running--;
      this.#pool.closeUnused(tenant);
    }
  }

  #known(iss: string): Tenant | undefined {
    const tenant = this.#pool.get(iss);
    if (tenant === undefined || this.#options.clock() >= tenant.resolvedAt + this.#options.maxAge) return undefined;
    return tenant;
  }

  async #find(iss: string): Promise<Found> {
    const key = hash('sha256', iss, 'base64');
    if (this.#unknown.get(key) === true) return undefined;
    const found = await this.#resolving.run(iss, () => this.#lookUp(iss));
    if (found === undefined) this.#unknown.set(key, true, this.#options.clock() + UNKNOWN_MAX_AGE);
    return found;
  }

  async #lookUp(iss: string): Promise<Found> {
    const resolved = await this.#resolveInTime(iss);
    const before = this.#pool.get(iss);
    // The resolver may have changed the object that it returned before.
    const snapshot = snapshotOf(resolved);
    const resolvedAt = this.#options.clock();
    if (before !== undefined && isDeepStrictEqual(before.snapshot, snapshot))
      return Object.assign(before, { resolvedAt });
    if (resolved === undefined) {
      if (before !== undefined) this.#pool.remove(before);
      return undefined;
    }
    const create = (): Tenant => {
      const budget = new TenantBudget(this.#budgets, this.#reportsOf(iss));
      return runResolver(() => createTenant(iss, resolved, { snapshot, resolvedAt, budget }));
    };
    if (before === undefined) return () => this.#pool.get(iss) ?? this.#admit(create());
    return this.#pool.replace(before, create);
  }

  #reportsOf(iss: string): TenantReports {
    const reports = this.#reports.get(iss) ?? {};
    this.#reports.set(iss, reports, this.#options.clock() + REPORTS.maxAge);
    return reports;
  }

  /** @throws UpstreamError if the resolver takes too long. Its own errors are not changed. */
  async #resolveInTime(iss: string): Promise<ResolvedIssuer | undefined> {
    const call = Promise.resolve(runResolver(() => this.#resolve(iss)));
    try {
      // Databases return null for a row that does not exist.
      return (await withTimeout(call, RESOLVER_TIMEOUT, 'the resolver of trustedIssuers')) ?? undefined;
    } catch (cause) {
      throw cause instanceof TimeoutError ? new UpstreamError('keys_unavailable', 1, { cause }) : cause;
    }
  }

  /** @throws UpstreamError if there were too many new tenants. */
  #admit(tenant: Tenant): Tenant {
    const { budget, verifier } = tenant;
    if (!budget.take()) {
      const reason = verifier.acceptsOpaqueTokens === true ? 'introspection_unavailable' : 'keys_unavailable';
      throw new UpstreamError(reason, budget.wait, { cause: new Error('too many new tenants without a valid token') });
    }
    this.#pool.add(tenant);
    return tenant;
  }
}

/** A tenant, or a function that creates a new one. */
type Found = Tenant | (() => Tenant) | undefined;

function createTenant(
  issuer: string,
  resolved: ResolvedIssuer,
  parts: Pick<Tenant, 'snapshot' | 'resolvedAt' | 'budget'>,
): Tenant {
  const verifier = isVerifier(resolved) ? resolved : makeFrom(resolved, parts.budget);
  if (verifier.issuer !== issuer) {
    const fix = 'Return options of that issuer.';
    throw problem('the resolver to return the issuer it was called with', 'another issuer', fix);
  }
  const isCreated = !isVerifier(resolved) && !isLimitedIssuer(resolved);
  return { ...parts, issuer, verifier, isCreated, state: 'pooled', lastAccepted: 0, running: 0 };
}

function makeFrom(
  options: TrustedIssuer | JwtVerifierOptions | IntrospectionVerifierOptions,
  budget: TenantBudget,
): TokenVerifier {
  if (isLimitedIssuer(options)) return limitIssuer(options);
  // `jwtVerifier` reports a value that is not an object.
  const isForIntrospection =
    typeof options === 'object' && ('introspectionEndpoint' in options || 'clientId' in options);
  return isForIntrospection
    ? createIntrospectionVerifier(options, 'introspectionVerifier', budget)
    : createJwtVerifier(options as JwtVerifierOptions, 'jwtVerifier', budget);
}

/** The failed check of a JWT whose issuer has no verifier. */
export function issuerMismatch(expected: unknown, found: string): InvalidTokenError {
  const cause = makeFailedCheck('iss', expected, found);
  return new InvalidTokenError('issuer_mismatch', { cause });
}

export function problem(expected: string, got: string, fix: string): ConfigurationError {
  return new ConfigurationError({ option: 'trustedIssuers', expected, got, fix });
}
