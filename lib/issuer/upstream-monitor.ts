import { type DiagnosticMessages, publish } from '../diagnostics.js';
import { UpstreamError } from '../errors.js';

/** A document of the issuer that is cached. */
export type IssuerDocument = DiagnosticMessages['keys.refreshed']['document'];

type IntrospectionEnd = Pick<DiagnosticMessages['introspection'], 'outcome' | 'error'>;

/** Tells the operator what happens between one verifier and its authorization server. */
export class UpstreamMonitor {
  readonly #issuer: string | undefined;

  /** The issuer as configured, if there is one. */
  constructor(issuer: string | undefined) {
    this.#issuer = issuer;
  }

  fetched(document: IssuerDocument): void {
    publish('keys.refreshed', () => ({ issuer: this.#name, document }));
  }

  fetchFailed(document: IssuerDocument, error: unknown): void {
    // Nothing was fetched: the document before this one failed, and that was published.
    if (error instanceof UpstreamError) return;
    publish('keys.refresh_failed', () => ({ issuer: this.#name, document, error }));
  }

  staleKeysUsed(): void {
    publish('keys.stale_used', () => ({ issuer: this.#name }));
  }

  /** The introspection of a token ended. The duration is in seconds. */
  introspected({ outcome, error }: IntrospectionEnd, duration: number): void {
    publish('introspection', () => ({ issuer: this.#issuer, duration, outcome, error }));
  }

  // Documents are only fetched for an issuer.
  get #name(): string {
    return this.#issuer ?? '';
  }
}
