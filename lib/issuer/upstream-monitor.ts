import { type DiagnosticMessages, publish } from '../diagnostics.js';
import { UpstreamError } from '../errors.js';
import { describeCauses } from '../util/causes.js';
import { type Clock, toIsoTime } from '../util/clock.js';
import { WarningStates } from '../util/warnings.js';
import type { ReceivedResponse } from './http.js';
import type { HttpError } from './http-error.js';
import type { TenantReports } from './request-budget.js';
import { CREDENTIALS_FIX, upstreamProblem, type UpstreamProblem, type UpstreamSubject } from './upstream-problems.js';

/** A document of the issuer that is cached. */
export type IssuerDocument = DiagnosticMessages['keys.refreshed']['document'];

type IntrospectionEnd = Pick<DiagnosticMessages['introspection'], 'outcome' | 'error'>;

export interface UpstreamMonitorOptions {
  /** The issuer as configured, if there is one. */
  readonly issuer: string | undefined;
  /** The name of the authorization server in warnings. */
  readonly server: string;
  /** The difference of the clocks that is accepted. Seconds. */
  readonly clockTolerance: number;
  /** Says in one sentence what requests receive while the authorization server has a problem. @default see `served` */
  readonly served?: (() => string) | undefined;
  readonly clock: Clock;
  /** What was reported before, of a tenant. @default nothing */
  readonly reports?: TenantReports | undefined;
}

const SUBJECTS: Readonly<Record<UpstreamSubject, string>> = {
  metadata: 'its metadata',
  keys: 'its keys',
  introspection: 'token introspection',
};

const RECOVERIES: Readonly<Record<string, string>> = {
  ERS_UNREACHABLE: 'it is reachable again',
  ERS_TLS: 'it is reachable again',
  ERS_CREDENTIALS_REJECTED: 'it accepts the credentials of this API again',
};

/**
 * Tells the operator what happens between one verifier and its authorization server: diagnostics channels receive each
 * event, process warnings report when a state changes.
 */
export class UpstreamMonitor {
  readonly #options: UpstreamMonitorOptions;
  readonly states: WarningStates;
  /**
   * Says what requests receive meanwhile. The cached keys set it, because verifiers share them: a function of one verifier
   * would keep it from being collected.
   */
  served: (() => string) | undefined;

  constructor(options: UpstreamMonitorOptions) {
    this.#options = options;
    this.served = options.served;
    const { reports = {}, clock } = options;
    this.states = reports.states ??= new WarningStates(clock);
  }

  fetched(document: IssuerDocument): void {
    publish('keys.refreshed', () => ({ issuer: this.#issuer, document }));
    this.#works(document);
    if (document === 'keys')
      this.states.end('stale keys', () => `The keys of ${this.#options.server} are fresh again.`);
  }

  fetchFailed(document: IssuerDocument, error: unknown): void {
    // Nothing was fetched: the document before this one failed, and that was reported.
    if (error instanceof UpstreamError) return;
    publish('keys.refresh_failed', () => ({ issuer: this.#issuer, document, error }));
    this.#fails(document, error);
  }

  staleKeysUsed(): void {
    publish('keys.stale_used', () => ({ issuer: this.#issuer }));
    const { server } = this.#options;
    this.states.begin('stale keys', {
      code: 'ERS_STALE_KEYS',
      cause: '',
      describe: () =>
        `The keys of ${server} are in use although they are no longer fresh, because they cannot be fetched. ${this.served?.() ?? ''}`,
    });
  }

  /** The introspection of a token ended. The duration is in seconds. */
  introspected({ outcome, error }: IntrospectionEnd, duration: number): void {
    publish('introspection', () => ({ issuer: this.#options.issuer, duration, outcome, error }));
    if (outcome !== 'failed') this.#works('introspection');
  }

  /** Introspection does not work, and not only for one token. */
  introspectionFailed(error: HttpError): void {
    this.#fails('introspection', error);
  }

  /** A function or a key from the options, which this API authenticates with, failed. */
  credentialsUnavailable(error: unknown): void {
    // A failure that is repeated during a pause is the cause of another.
    const failure: unknown = error instanceof UpstreamError ? error.cause : error;
    const cause = failure instanceof Error ? describeCauses(failure) : 'clientSecret or clientAuthentication failed';
    const text = `the credentials of this API are unavailable: ${cause}`;
    this.#begin('introspection', { code: 'ERS_CREDENTIALS_UNAVAILABLE', cause, text, fix: CREDENTIALS_FIX });
  }

  /** A complete response with status 200 was received. An arrow function, because it is passed as a listener. */
  readonly responded = ({ origin, date, duration }: ReceivedResponse): void => {
    if (date !== undefined) this.#compareClocks(origin, date, duration);
  };

  #works(subject: UpstreamSubject): void {
    this.states.end(subject, (code, seconds) => {
      const what = RECOVERIES[code] ?? `${SUBJECTS[subject]} can be used again`;
      return `The authorization server ${this.#options.server}: ${what}, after ${seconds} seconds.`;
    });
  }

  #fails(subject: UpstreamSubject, error: unknown): void {
    this.#begin(subject, upstreamProblem(error, subject));
  }

  #begin(subject: UpstreamSubject, { code, cause, text, fix }: UpstreamProblem): void {
    const { server } = this.#options;
    const describe = (since: number): string =>
      `The authorization server ${server}: ${text}, since ${toIsoTime(since)}. ${this.served?.() ?? ''} ${fix}`;
    this.states.begin(subject, { code, cause, describe });
  }

  // `Date` has whole seconds, and the server wrote it at any time of the exchange.
  #compareClocks(origin: string, date: number, duration: number): void {
    const { clock, clockTolerance } = this.#options;
    const now = clock();
    const ahead = now - duration - (date + 1);
    const behind = date - now;
    const subject = `clock of ${origin}`;
    const difference = Math.max(ahead, behind);
    if (difference <= clockTolerance) {
      this.states.end(subject, () => `The clocks of this machine and of ${origin} agree again.`);
      return;
    }
    const direction = ahead > behind ? 'ahead of' : 'behind';
    this.states.begin(subject, {
      code: 'ERS_CLOCK_DIFFERENCE',
      cause: direction,
      describe: () =>
        `The clock of this machine is ${Math.round(difference)} seconds ${direction} the clock of ${origin}, by its header Date. ` +
        `clockTolerance is ${clockTolerance} seconds, so valid tokens may be rejected. Synchronize the clocks.`,
    });
  }

  // Documents are only fetched for an issuer.
  get #issuer(): string {
    return this.#options.issuer ?? '';
  }
}
