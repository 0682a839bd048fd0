import type { TenantBudget } from '../issuer/request-budget.js';
import type { TokenVerifier } from './token-verifier.js';

/** The verifier of an issuer that a resolver knows. */
export interface Tenant {
  readonly issuer: string;
  readonly verifier: TokenVerifier;
  /** Whether it was created from options. Another one may be returned by the resolver again, so it is not closed. */
  readonly isCreated: boolean;
  /** What the resolver returned, to find out whether it returns the same later. */
  readonly snapshot: unknown;
  readonly budget: TenantBudget;
  /** By the clock for results. */
  resolvedAt: number;
  /** `removed`: the resolver returned something else. */
  state: 'pooled' | 'evicted' | 'removed';
  /** When its last token was accepted, counted in accepted tokens; 0 if none was. */
  lastAccepted: number;
  /** Verifications in progress. */
  running: number;
}

/** How many tenants without an accepted token there may be. */
const MAX_NEW = 20;

/**
 * The tenants in use, and a few new ones. Whoever sends a token chooses its issuer, so a new tenant only replaces a new one. Its
 * first accepted token makes it a tenant in use, and replaces the one whose last accepted token is the oldest.
 */
export class TenantPool {
  readonly #maxInUse: number;
  readonly #inUse = new Map<string, Tenant>();
  /** The one that was used last is the last. */
  readonly #new = new Map<string, Tenant>();
  #acceptedTokens = 0;

  constructor(maxInUse: number) {
    this.#maxInUse = maxInUse;
  }

  get(issuer: string): Tenant | undefined {
    const inUse = this.#inUse.get(issuer);
    if (inUse !== undefined) return inUse;
    const tenant = this.#new.get(issuer);
    if (tenant !== undefined && this.#new.delete(issuer)) this.#new.set(issuer, tenant);
    return tenant;
  }

  all(): Tenant[] {
    return [...this.#inUse.values(), ...this.#new.values()];
  }

  /** Adds a tenant without an accepted token. */
  add(tenant: Tenant): void {
    const [oldest] = this.#new.values();
    if (oldest !== undefined && this.#new.size >= MAX_NEW) this.#take(oldest, 'evicted');
    this.#new.set(tenant.issuer, tenant);
  }

  /** Records that a token of a tenant was accepted. */
  accept(tenant: Tenant): void {
    tenant.lastAccepted = ++this.#acceptedTokens;
    if (tenant.state === 'pooled' && !tenant.budget.isNew) return;
    tenant.budget.accepted();
    // It may have been evicted during the verification, and created again by another token.
    const isReplaced = tenant.state === 'evicted' && this.get(tenant.issuer) !== undefined;
    if (tenant.state === 'removed' || isReplaced) return;
    this.#new.delete(tenant.issuer);
    this.#makeRoom();
    tenant.state = 'pooled';
    this.#inUse.set(tenant.issuer, tenant);
  }

  /** Creates a tenant with other options in the place of the one before, which is removed even if that fails. */
  replace(before: Tenant, create: () => Tenant): Tenant {
    const isInUse = this.#inUse.get(before.issuer) === before;
    this.remove(before);
    const tenant = create();
    if (isInUse) {
      tenant.budget.accepted();
      tenant.lastAccepted = before.lastAccepted;
      this.#inUse.set(tenant.issuer, tenant);
    } else {
      this.add(tenant);
    }
    return tenant;
  }

  remove(tenant: Tenant): void {
    this.#take(tenant, 'removed');
  }

  /** Closes the verifier of a tenant that has left the pool, after its last verification. */
  closeUnused({ state, running, isCreated, verifier }: Tenant): void {
    if (state === 'pooled' || running > 0 || !isCreated) return;
    // No request waits for this, and none fails because of it: it concerns another tenant.
    closeLater(verifier).catch(() => undefined);
  }

  #makeRoom(): void {
    if (this.#inUse.size < this.#maxInUse) return;
    let oldest: Tenant | undefined;
    for (const tenant of this.#inUse.values()) {
      if (oldest === undefined || tenant.lastAccepted < oldest.lastAccepted) oldest = tenant;
    }
    if (oldest !== undefined) this.#take(oldest, 'evicted');
  }

  #take(tenant: Tenant, state: 'evicted' | 'removed'): void {
    for (const pool of [this.#inUse, this.#new]) {
      if (pool.get(tenant.issuer) === tenant) pool.delete(tenant.issuer);
    }
    tenant.state = state;
    this.closeUnused(tenant);
  }
}

// Async, so that a `close` that throws is handled like one that rejects.
async function closeLater(verifier: TokenVerifier): Promise<void> {
  await verifier.close?.();
}
