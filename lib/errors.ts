/**
 * What can go wrong, in three kinds that are never mixed: the caller's token (4xx with a challenge), our upstream
 * (503 with `Retry-After`, no challenge), the programmer (`ConfigurationError`).
 *
 * Every message is one constant sentence per reason, so no byte of a request, a token or an upstream's answer can reach
 * a header, a body or a log through it. The detail is on `cause`.
 */

/** Why a request could not be read. */
export type InvalidRequestReason = 'malformed_credentials' | 'several_credentials';

/** Why a token was refused. */
export type InvalidTokenReason =
  | 'malformed'
  | 'too_large'
  | 'type_refused'
  | 'id_token'
  | 'algorithm_refused'
  | 'critical_refused'
  | 'issuer_mismatch'
  | 'audience_mismatch'
  | 'expired'
  | 'not_yet_valid'
  | 'issued_in_future'
  | 'too_old'
  | 'claim_missing'
  | 'claim_malformed'
  | 'unknown_key'
  | 'signature_mismatch'
  | 'binding_unproven'
  | 'inactive';

/** Why a gate said no. */
export type InsufficientScopeReason =
  | 'scope_missing'
  | 'claim_mismatch'
  | 'client_refused'
  | 'machine_required'
  | 'user_required'
  | 'authorization_details_missing'
  | 'condition_failed';

/** Why a person has to authenticate again. */
export type InsufficientAuthenticationReason = 'authentication_insufficient';

/** Which upstream could not be had. */
export type UpstreamReason = 'metadata_unavailable' | 'keys_unavailable' | 'introspection_unavailable';

/** What the programmer has to mend. */
export type ConfigurationReason = 'option_invalid' | 'not_authenticated' | 'verifier_invalid';

/** The closed union of all reasons, for logs and metrics. */
export type Reason =
  | 'token_missing'
  | InvalidRequestReason
  | InvalidTokenReason
  | InsufficientScopeReason
  | InsufficientAuthenticationReason
  | UpstreamReason
  | ConfigurationReason;

// RFC 6750 §3 allows %x20-21 / %x23-5B / %x5D-7E in error_description: no quote, no backslash, no line break.
const SENTENCES: Readonly<Record<Exclude<Reason, ConfigurationReason>, string>> = {
  token_missing: 'No access token was presented.',
  malformed_credentials: 'The credentials of the request are not well-formed.',
  several_credentials: 'The request carries more than one credential.',
  malformed: 'The access token is malformed.',
  too_large: 'The access token is too large.',
  type_refused: 'The token is not of a type that is accepted as an access token.',
  id_token: 'An ID token is not an access token.',
  algorithm_refused: 'The access token is signed with an algorithm that is not accepted.',
  critical_refused: 'The access token carries a critical extension that is not understood.',
  issuer_mismatch: 'The access token was issued by an issuer that is not trusted here.',
  audience_mismatch: 'The access token was issued for another audience.',
  expired: 'The access token has expired.',
  not_yet_valid: 'The access token is not valid yet.',
  issued_in_future: 'The access token was issued in the future.',
  too_old: 'The access token was issued too long ago.',
  claim_missing: 'The access token lacks a required claim.',
  claim_malformed: 'The access token carries a claim of the wrong type.',
  unknown_key: 'The access token was signed with an unknown key.',
  signature_mismatch: 'The signature of the access token does not verify.',
  inactive: 'The access token is not active: it is unknown, expired or revoked.',
  binding_unproven: 'The access token is bound to a key that the request does not prove.',
  scope_missing: 'The access token does not grant the scope that is needed here.',
  claim_mismatch: 'The access token does not carry the claim that is needed here.',
  client_refused: 'The client is not allowed here.',
  machine_required: 'Only a client acting on its own behalf is allowed here.',
  user_required: 'Only a client acting on behalf of a person is allowed here.',
  authorization_details_missing: 'The access token does not carry the authorization details that are needed here.',
  authentication_insufficient: 'The person has to authenticate again, more recently or in another way.',
  condition_failed: 'The access token does not meet the condition that is set here.',
  metadata_unavailable: 'The metadata of the authorization server cannot be had at the moment.',
  introspection_unavailable: 'The authorization server cannot be asked about the access token at the moment.',
  keys_unavailable: 'The keys of the authorization server cannot be had at the moment.',
};

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
