import type { TokenBucket } from '../util/token-bucket.js';
import type { WarningStates } from '../util/warnings.js';

/** How many requests tokens may cause that were not accepted. */
export interface RequestBudget {
  /** Takes one. Returns `false` if there is none. */
  take(): boolean;
  /** Time until there is one. Seconds, 0 if there is one. */
  readonly wait: number;
}

/** The budgets that all tenants share: those without an accepted token, and those in use. */
export interface TenantBudgets {
  readonly ofNew: TokenBucket;
  readonly ofUsed: TokenBucket;
}

/** What was reported of a tenant. It outlives its verifier, because callers choose how often a new tenant is created. */
export interface TenantReports {
  states?: WarningStates;
}

/** One tenant's access to the budgets of all tenants. */
export class TenantBudget implements RequestBudget {
  readonly #budgets: TenantBudgets;
  #isNew = true;
  #taken = 0;

  readonly reports: TenantReports;

  constructor(budgets: TenantBudgets, reports: TenantReports) {
    this.#budgets = budgets;
    this.reports = reports;
  }

  /** Whether no token was accepted yet. */
  get isNew(): boolean {
    return this.#isNew;
  }

  get wait(): number {
    return this.#current.wait;
  }

  take(): boolean {
    const isTaken = this.#current.take();
    if (isTaken && this.#isNew) this.#taken++;
    return isTaken;
  }

  /** A token was accepted, so all that it took to get there was not for nothing. */
  accepted(): void {
    this.#budgets.ofNew.giveBack(this.#taken);
    this.#taken = 0;
    this.#isNew = false;
  }

  get #current(): TokenBucket {
    return this.#isNew ? this.#budgets.ofNew : this.#budgets.ofUsed;
  }
}
