/**
 * Three kinds of failure, which are never mixed: the caller's token (4xx with a challenge), an upstream (503 with
 * `Retry-After`, no challenge), the programmer (`ConfigurationError`).
 *
 * Every message is one constant sentence per reason, so no byte of a request, a token or a response of an upstream can
 * reach a header, a body or a log through it. The details are on `cause`.
 */

import { inspect, type InspectOptions } from 'node:util';
import { inspectError } from './error-inspection.js';

export { hideMessage, shownInstead, withoutPasswords } from './error-inspection.js';
import {
  type ConfigurationReason,
  type InsufficientAuthenticationReason,
  type InsufficientScopeReason,
  type InvalidDpopProofReason,
  type InvalidRequestReason,
  type InvalidTokenReason,
  type MissingTokenReason,
  type Reason,
  SENTENCES,
  type UpstreamReason,
} from './reasons.js';

/** The check that failed, as the `cause` of an error: for developers and operators, never sent to the caller. */
export interface FailedCheck {
  readonly checked: string;
  /** Not enumerable, like `found`: they may contain claims, and applications log errors with all that is in them. */
  readonly expected: unknown;
  readonly found: unknown;
}

export function makeFailedCheck(checked: string, expected: unknown, found: unknown): FailedCheck {
  const failed = { checked, expected, found };
  return Object.defineProperties(failed, { expected: { enumerable: false }, found: { enumerable: false } });
}

// Two copies of the package in one process (ESM and CommonJS, or two versions) recognize each other's errors.
const KIND = Symbol.for('express-resource-server.error.v1');

/** `ErrorOptions` of ES2022, for projects whose `lib` is older. */
interface CauseOptions {
  cause?: unknown;
}

/**
 * The base of all errors of this package. `instanceof` also recognizes the errors of another copy of the package in the
 * same process.
 */
export abstract class ResourceServerError extends Error {
  /** The HTTP status of the response; `undefined` for a mistake of the programmer (Express makes it 500). */
  readonly status: number | undefined;
  /** `error` on the wire; `undefined` where RFC 6750 §3.1 requires none. */
  readonly code: string | undefined;
  /** The reason, one of a closed union, for logs and metrics. */
  readonly reason: Reason;
  /**
   * The header fields of the response, challenge included. Empty until a middleware responds, because only the
   * middleware knows its realm.
   */
  readonly headers: Readonly<Record<string, string>>;
  /** What failed, for developers and operators: a `FailedCheck`, or another error. */
  declare cause?: unknown;

  protected constructor(
    status: number | undefined,
    code: string | undefined,
    reason: Reason,
    message: string,
    options?: CauseOptions,
  ) {
    // An attacker chooses how many rejections there are, and a stack trace is the most expensive part of an error. It
    // adds nothing to `reason` and `cause`. Errors that we or the programmer must fix have one, and so does the `cause` of
    // an UpstreamError.
    const limit = Error.stackTraceLimit;
    const isResponse = status !== undefined;
    if (isResponse) Reflect.set(Error, 'stackTraceLimit', 0);
    super(message, options);
    if (isResponse) Reflect.set(Error, 'stackTraceLimit', limit);
    this.headers = {};
    // A minified bundle renames our classes; a subclass of the application has its own name.
    this.name = ownKind(new.target.prototype) ?? new.target.name;
    this.status = status;
    this.code = code;
    this.reason = reason;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    const kind = ownKind(this.prototype);
    const isPrototype = typeof value === 'object' && value !== null && Object.hasOwn(value, KIND);
    // A subclass of the application, or a class itself: the ordinary rule.
    if (kind === undefined || isPrototype) return Function.prototype[Symbol.hasInstance].call(this, value);
    const found = kindOf(value);
    return found !== undefined && (kind === found || kind === 'ResourceServerError');
  }
}

function kindOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? (Reflect.get(value, KIND) as unknown) : undefined;
}

/** The kind of one of our classes; `undefined` for a subclass of the application. */
function ownKind(prototype: object): string | undefined {
  const kind: unknown = Object.hasOwn(prototype, KIND) ? kindOf(prototype) : undefined;
  return typeof kind === 'string' ? kind : undefined;
}

/**
 * The error as one response presents it. Several requests may share an error, so one of our own is copied; a subclass of
 * the application may have private members, so it is changed.
 */
export function withHeaders<E extends ResourceServerError>(error: E, headers: Readonly<Record<string, string>>): E {
  const prototype = Object.getPrototypeOf(error) as object;
  if (ownKind(prototype) === undefined) {
    // It may be frozen; the response is the same.
    Reflect.set(error, 'headers', headers);
    return error;
  }
  const limit = Error.stackTraceLimit;
  Reflect.set(Error, 'stackTraceLimit', 0);
  const copy: object = new Error();
  Reflect.set(Error, 'stackTraceLimit', limit);
  Object.setPrototypeOf(copy, prototype);
  const own = Object.getOwnPropertyDescriptors(error);
  const stack = { value: error.stack, writable: true, configurable: true, enumerable: false };
  Object.defineProperties(copy, { ...own, stack, headers: { ...own.headers, value: headers } });
  return copy as E;
}

/** The request carried no credentials: 401 with a challenge that has no `error` (RFC 6750 §3.1). */
export class MissingTokenError extends ResourceServerError {
  declare readonly reason: MissingTokenReason;
  /** The scopes that the gate requires; empty if no gate named them. */
  readonly scopes: readonly string[];

  constructor(
    options?: CauseOptions & { reason?: MissingTokenReason | undefined; scopes?: readonly string[] | undefined },
  ) {
    const reason = options?.reason ?? 'token_missing';
    super(401, undefined, reason, SENTENCES[reason], options);
    this.scopes = options?.scopes ?? [];
  }
}

/** The credentials are malformed, or there are several: 400 `invalid_request` (RFC 6750 §3.1). */
export class InvalidRequestError extends ResourceServerError {
  declare readonly reason: InvalidRequestReason;
  constructor(reason: InvalidRequestReason, options?: CauseOptions) {
    super(400, 'invalid_request', reason, SENTENCES[reason], options);
  }
}

/** The token is rejected: 401 `invalid_token` (RFC 6750 §3.1). */
export class InvalidTokenError extends ResourceServerError {
  declare readonly reason: InvalidTokenReason;
  constructor(reason: InvalidTokenReason, options?: CauseOptions) {
    super(401, 'invalid_token', reason, SENTENCES[reason], options);
  }
}

/**
 * The proof of possession is missing, wrong or replayed: 401 `invalid_dpop_proof`, or `use_dpop_nonce` if only the nonce
 * is missing or old (RFC 9449 §7.1 and §9).
 */
export class InvalidDpopProofError extends ResourceServerError {
  declare readonly reason: InvalidDpopProofReason;
  /** The nonce that the next proof must contain, for the `DPoP-Nonce` header; `undefined` if nonces are off. */
  readonly nonce: string | undefined;

  constructor(reason: InvalidDpopProofReason, options?: CauseOptions & { nonce?: string | undefined }) {
    const needsNonce = reason === 'proof_nonce_missing' || reason === 'proof_nonce_refused';
    super(401, needsNonce ? 'use_dpop_nonce' : 'invalid_dpop_proof', reason, SENTENCES[reason], options);
    this.nonce = options?.nonce;
  }
}

/** The token is valid, but a gate rejects it: 403 `insufficient_scope` (RFC 6750 §3.1). */
export class InsufficientScopeError extends ResourceServerError {
  declare readonly reason: InsufficientScopeReason;
  /** The scopes that are sufficient; empty if the gate requires something else. */
  readonly scopes: readonly string[];

  constructor(reason: InsufficientScopeReason, scopes: readonly string[] = [], options?: CauseOptions) {
    super(403, 'insufficient_scope', reason, SENTENCES[reason], options);
    this.scopes = scopes;
  }
}

/**
 * A stronger or more recent authentication of the user is required: 401 `insufficient_user_authentication` (RFC 9470 §3).
 */
export class InsufficientAuthenticationError extends ResourceServerError {
  declare readonly reason: InsufficientAuthenticationReason;
  /** `acr_values` of the challenge; empty if any context is sufficient. */
  readonly acrValues: readonly string[];
  /** `max_age` of the challenge, seconds; `undefined` if any time is sufficient. */
  readonly maxAge: number | undefined;

  constructor(
    needed: { acrValues?: readonly string[] | undefined; maxAge?: number | undefined },
    options?: CauseOptions,
  ) {
    const reason = 'authentication_insufficient';
    super(401, 'insufficient_user_authentication', reason, SENTENCES[reason], options);
    this.acrValues = needed.acrValues ?? [];
    this.maxAge = needed.maxAge;
  }
}

/**
 * The authorization server or a store is temporarily unavailable: 503 `temporarily_unavailable` with `Retry-After` (RFC 9110
 * §10.2.3). It says nothing about the caller's token, so it carries no challenge.
 */
export class UpstreamError extends ResourceServerError {
  declare readonly reason: UpstreamReason;
  /** When the caller should try again. Whole seconds, 1 to 86,400. */
  readonly retryAfter: number;

  constructor(reason: UpstreamReason, retryAfter: number, options?: CauseOptions) {
    super(503, 'temporarily_unavailable', reason, SENTENCES[reason], options);
    // NaN means unknown.
    this.retryAfter = Math.min(86_400, Math.max(1, Math.ceil(retryAfter) || 1));
  }
}

/** The content of a `ConfigurationError`: the option, what was expected, what was found, and the fix. */
export interface ConfigurationProblem {
  /** The function and the option, such as `jwtBearer: audience`. */
  readonly option: string;
  readonly expected: string;
  /** A short rendering of the value. Secrets are described and never shown. */
  readonly got: string;
  readonly fix: string;
}

/** A mistake of the programmer. Factories throw it; a mistake that only a request can show goes to the error handler. */
export class ConfigurationError extends ResourceServerError implements ConfigurationProblem {
  readonly option: string;
  readonly expected: string;
  readonly got: string;
  readonly fix: string;

  constructor(problem: ConfigurationProblem, options?: CauseOptions & { reason?: ConfigurationReason | undefined }) {
    const { option, expected, got, fix } = problem;
    const text = `${option}: expected ${expected}, got ${got}. ${fix}`;
    super(undefined, undefined, options?.reason ?? 'option_invalid', text, options);
    this.option = option;
    this.expected = expected;
    this.got = got;
    this.fix = fix;
  }
}

// In one place, and not as members, so that the types of two copies of the package stay compatible.
for (const [kind, { prototype }] of Object.entries<{ prototype: object }>({
  ResourceServerError,
  MissingTokenError,
  InvalidRequestError,
  InvalidTokenError,
  InvalidDpopProofError,
  InsufficientScopeError,
  InsufficientAuthenticationError,
  UpstreamError,
  ConfigurationError,
})) {
  Object.defineProperty(prototype, KIND, { value: kind });
}

// Not a member either: it would be part of the public types.
Object.defineProperty(ResourceServerError.prototype, inspect.custom, {
  value: function (this: ResourceServerError, _depth: number, options: InspectOptions): string {
    // The name is in the first line, and headers are for the response.
    const members = Object.entries(this).filter(([name]) => name !== 'name' && name !== 'headers');
    return inspectError(this, Object.fromEntries(members), options);
  },
});
