import type { KeysHealth } from '../issuer/key-set.js';
import type { AccessToken } from '../token/access-token.js';

/** The state of what a verifier rests on. */
export interface VerifierHealth extends Partial<KeysHealth> {
  /** By issuer, where there are several. */
  readonly issuers?: Readonly<Record<string, VerifierHealth>>;
}

/**
 * Says what a token is worth. A user's own verifier is one function, `verify`; all else is optional. A cache, a choice
 * of issuer, an audit log *are* verifiers or *wrap* one.
 */
export interface TokenVerifier {
  /**
   * Verifies one token. Rejects with an `InvalidTokenError` where the token is refused, an `UpstreamError` where that
   * cannot be told at the moment; anything else counts as the programmer's mistake.
   */
  verify(token: string): Promise<AccessToken>;
  /** Whose tokens these are: the `iss` they carry. */
  readonly issuer?: string | undefined;
  /** Whether it also takes tokens that are no JWT. @default false where it has an `issuer` */
  readonly acceptsOpaqueTokens?: boolean;
  /** The remembered `AccessToken`, at once and without a promise, or `undefined`. */
  recall?(token: string): AccessToken | undefined;
  /** Warms up at boot. Rejects with an `UpstreamError` where what is needed cannot be had. */
  ready?(): Promise<void>;
  /** Age and freshness of keys, for a readiness probe. */
  health?(): VerifierHealth;
  /** Drops what is remembered of one token. */
  invalidate?(token: string): void | Promise<void>;
  /** Ends timers and open exchanges. */
  close?(): void | Promise<void>;
}
