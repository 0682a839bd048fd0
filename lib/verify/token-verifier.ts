import type { KeysHealth } from '../issuer/key-set.js';
import type { AccessToken } from '../token/access-token.js';
import type { Explanation } from '../token/checks.js';
import type { Profile } from '../token/profile.js';

/** The state of the documents that a verifier needs. */
export interface VerifierHealth extends Partial<KeysHealth> {
  /** By issuer, if there are several. */
  readonly issuers?: Readonly<Record<string, VerifierHealth>> | undefined;
}

/** What a verifier can read about the request. */
export interface VerifierContext {
  /** The address of the caller; makes waiting for the authorization server fair. It decides nothing else. */
  readonly remoteAddress?: string | undefined;
}

/**
 * Verifies tokens. An own verifier is one function, `verify`; everything else is optional. A cache, a choice of issuer or
 * an audit log *is* a verifier or *wraps* one: there is no second way to a result.
 */
export interface TokenVerifier {
  /**
   * Verifies one token. Returns a cached result synchronously; everything else is a promise. It rejects with an
   * `InvalidTokenError` for a token that is not accepted and with an `UpstreamError` if the result cannot be determined
   * now; any other error is a mistake of the programmer.
   */
  verify(token: string, context?: VerifierContext): AccessToken | Promise<AccessToken>;
  /** The value of `iss` in the tokens. */
  readonly issuer?: string | undefined;
  /** The profile that the tokens meet; `bearer` applies its rules to requests as well. */
  readonly profile?: Profile | undefined;
  /** The current time in seconds since the epoch; `bearer` and the gates behind it use it too. @default the system clock */
  readonly clock?: (() => number) | undefined;
  /** Whether it also accepts tokens that are not JWTs. @default false if it has an `issuer` */
  readonly acceptsOpaqueTokens?: boolean | undefined;
  /** Whether tokens may have characters outside the grammar of RFC 6750 §2.1. @default false */
  readonly allowsAnyTokenCharacters?: boolean | undefined;
  /** Warms up at startup. Rejects with an `UpstreamError` if a document that it needs is unavailable. */
  ready?(): Promise<void>;
  /** Age and freshness of keys, for a readiness probe. */
  health?(): VerifierHealth;
  /** Removes the cached results of one token. The verifiers of this package also abort its signals (`authSignal`). */
  invalidate?(token: string): void | Promise<void>;
  /** Runs all checks on a token, for people who look for a cause. It never rejects because of the token. */
  explain?(token: string): Promise<Explanation>;
  /** Ends timers and open requests. */
  close?(): void | Promise<void>;
}
