/**
 * What can go wrong, in three kinds that are never mixed: the caller's token (4xx with a challenge), our upstream
 * (503 with `Retry-After`, no challenge), the programmer (`ConfigurationError`).
 *
 * Every message is one constant sentence per reason, so no byte of a request, a token or an upstream's answer can reach
 * a header, a body or a log through it. The detail is on `cause`.
 */

import {
  type ConfigurationReason,
  type InsufficientAuthenticationReason,
  type InsufficientScopeReason,
  type InvalidDpopProofReason,
  type InvalidRequestReason,
  type InvalidTokenReason,
  type Reason,
  SENTENCES,
  type UpstreamReason,
} from './reasons.js';

/** What a refusal rested on, as the error's `cause`: for a developer's eyes, not for the wire. */
export interface FailedCheck {
  readonly checked: string;
  readonly expected: unknown;
  readonly found: unknown;
}

/** The base of every failure of this package. */
export abstract class ResourceServerError extends Error {
  /** HTTP status of the answer; `undefined` for the programmer's mistakes (a framework makes that 500). */
  readonly status: number | undefined;
  /** `error` on the wire; `undefined` where RFC 6750 §3.1 wants none. */
  readonly code: string | undefined;
  /** Which of the known reasons it was, for logs and metrics. */
  readonly reason: Reason;
  /**
   * The header fields of the answer, challenge included. Empty until a middleware has decided how to answer, because
   * only the middleware knows its realm.
   */
  headers: Readonly<Record<string, string>>;

  protected constructor(
    status: number | undefined,
    code: string | undefined,
    reason: Reason,
    message: string,
    options?: ErrorOptions,
  ) {
    // An attacker chooses how many refusals there are, and the frames of one are the most costly thing about it; they say
    // nothing that `reason` and `cause` do not. What is ours or the programmer's to mend keeps its frames.
    const limit = Error.stackTraceLimit;
    const isRefusal = status !== undefined && status < 500;
    if (isRefusal) Reflect.set(Error, 'stackTraceLimit', 0);
    super(message, options);
    if (isRefusal) Reflect.set(Error, 'stackTraceLimit', limit);
    this.headers = {};
    this.name = new.target.name;
    this.status = status;
    this.code = code;
    this.reason = reason;
  }
}

/** The request carried no credentials: 401 with a challenge that has no `error` (RFC 6750 §3.1). */
export class MissingTokenError extends ResourceServerError {
  constructor(options?: ErrorOptions) {
    super(401, undefined, 'token_missing', SENTENCES.token_missing, options);
  }
}

/** The request could not be read: 400 `invalid_request` (RFC 6750 §3.1). */
export class InvalidRequestError extends ResourceServerError {
  declare readonly reason: InvalidRequestReason;
  constructor(reason: InvalidRequestReason, options?: ErrorOptions) {
    super(400, 'invalid_request', reason, SENTENCES[reason], options);
  }
}

/** The token was read and refused: 401 `invalid_token` (RFC 6750 §3.1). */
export class InvalidTokenError extends ResourceServerError {
  declare readonly reason: InvalidTokenReason;
  constructor(reason: InvalidTokenReason, options?: ErrorOptions) {
    super(401, 'invalid_token', reason, SENTENCES[reason], options);
  }
}

/**
 * The proof of possession is missing, wrong or replayed: 401 `invalid_dpop_proof`, or `use_dpop_nonce` where only a nonce
 * is needed (RFC 9449 §7.1 and §9).
 */
export class InvalidDpopProofError extends ResourceServerError {
  declare readonly reason: InvalidDpopProofReason;
  /** What the next proof has to carry, for the `DPoP-Nonce` header; `undefined` where no nonce is asked for. */
  readonly nonce: string | undefined;

  constructor(reason: InvalidDpopProofReason, options?: ErrorOptions & { nonce?: string | undefined }) {
    const needsNonce = reason === 'proof_nonce_missing' || reason === 'proof_nonce_refused';
    super(401, needsNonce ? 'use_dpop_nonce' : 'invalid_dpop_proof', reason, SENTENCES[reason], options);
    this.nonce = options?.nonce;
  }
}

/** The token is good but does not reach this far: 403 `insufficient_scope` (RFC 6750 §3.1). */
export class InsufficientScopeError extends ResourceServerError {
  declare readonly reason: InsufficientScopeReason;
  /** The scopes that would have been enough; empty where the gate asked for something else. */
  readonly scopes: readonly string[];

  constructor(reason: InsufficientScopeReason, scopes: readonly string[] = [], options?: ErrorOptions) {
    super(403, 'insufficient_scope', reason, SENTENCES[reason], options);
    this.scopes = scopes;
  }
}

/**
 * The person did not authenticate well or recently enough for this: 401 `insufficient_user_authentication` (RFC 9470 §3).
 */
export class InsufficientAuthenticationError extends ResourceServerError {
  declare readonly reason: InsufficientAuthenticationReason;
  /** `acr_values` of the challenge; empty where the context does not matter. */
  readonly acrValues: readonly string[];
  /** `max_age` of the challenge, seconds; `undefined` where the time does not matter. */
  readonly maxAge: number | undefined;

  constructor(
    needed: { acrValues?: readonly string[] | undefined; maxAge?: number | undefined },
    options?: ErrorOptions,
  ) {
    const reason = 'authentication_insufficient';
    super(401, 'insufficient_user_authentication', reason, SENTENCES[reason], options);
    this.acrValues = needed.acrValues ?? [];
    this.maxAge = needed.maxAge;
  }
}

/**
 * The authorization server or a store cannot be had: 503 `temporarily_unavailable` with `Retry-After` (RFC 9110
 * §10.2.3). It says nothing about the caller's token, so it carries no challenge.
 */
export class UpstreamError extends ResourceServerError {
  declare readonly reason: UpstreamReason;
  /** When trying again makes sense. Seconds, a whole number, 1 to 86,400. */
  readonly retryAfter: number;

  constructor(reason: UpstreamReason, retryAfter: number, options?: ErrorOptions) {
    super(503, 'temporarily_unavailable', reason, SENTENCES[reason], options);
    // NaN counts as nothing known.
    this.retryAfter = Math.min(86_400, Math.max(1, Math.ceil(retryAfter) || 1));
  }
}

/** What a `ConfigurationError` says: which option, what was expected, what was found, and how to mend it. */
export interface ConfigurationProblem {
  /** The function and the option, such as `jwtBearer: audience`. */
  readonly option: string;
  readonly expected: string;
  /** A short rendering of what was given. Secrets are described and never shown. */
  readonly got: string;
  readonly fix: string;
}

/** The programmer's mistake. Thrown by factories; where only a request can show it, handed to the error handler. */
export class ConfigurationError extends ResourceServerError implements ConfigurationProblem {
  readonly option: string;
  readonly expected: string;
  readonly got: string;
  readonly fix: string;

  constructor(problem: ConfigurationProblem, options?: ErrorOptions & { reason?: ConfigurationReason | undefined }) {
    const { option, expected, got, fix } = problem;
    const text = `${option}: expected ${expected}, got ${got}. ${fix}`;
    super(undefined, undefined, options?.reason ?? 'option_invalid', text, options);
    this.option = option;
    this.expected = expected;
    this.got = got;
    this.fix = fix;
  }
}
