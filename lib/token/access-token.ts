import type { Scheme } from '../challenge.js';
import { ConfigurationError } from '../errors.js';
import { isPromise } from '../util/is-promise.js';
import { type Actor, type Caller, hasForeignActor, readActor, readCaller } from './caller.js';
import { firstText, readAudience, readClientId, readScopes, SCOPE_CLAIMS } from './claims.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { deepFreeze } from '../util/deep-freeze.js';
import type { JwtHeader } from './parse-jwt.js';

/** What a verifier returns. Deeply frozen, shared between requests; it does not contain the token. */
export interface AccessToken<Claims extends object = Record<string, unknown>> {
  readonly format: 'jwt' | 'opaque';
  readonly issuer: string;
  /** `sub`, if it is not empty. With the client-credentials grant often the client id, or absent. */
  readonly subject: string | undefined;
  /** The calling client; `undefined` if the token names none, or two different ones. */
  readonly clientId: string | undefined;
  /** There is evidence that a client obtained the token for itself (client-credentials grant). */
  readonly isMachine: boolean;
  /** There is evidence that the token was issued on behalf of a person. Both are `false` if the token does not say. */
  readonly isUser: boolean;
  /** Who acts for the subject: the outermost actor of `act` (RFC 8693 §4.1). */
  readonly actor: Actor | undefined;
  readonly scopes: readonly string[];
  readonly audience: readonly string[];
  /** Seconds since the epoch. */
  readonly expiresAt: number | undefined;
  /** Seconds since the epoch. */
  readonly issuedAt: number | undefined;
  /** JWT payload or introspection response, in wire spelling. */
  readonly claims: Readonly<Claims>;
  /** JWT only. */
  readonly header: Readonly<JwtHeader> | undefined;
}

/** What a handler reads: the access token, and how this request presented it. Frozen. */
export interface Auth<Claims extends object = Record<string, unknown>> extends AccessToken<Claims> {
  /** For calls on behalf of the same caller. */
  readonly token: string;
  readonly scheme: Scheme;
}

/** Decides from the claims who is calling; anything but `true` counts as `false`. */
export type CallerRule = (claims: Readonly<Record<string, unknown>>) => boolean;

/** How claims become the members of an `AccessToken`; `undefined` is the default. */
export interface ClaimMapping {
  readonly clientIdClaims?: readonly string[] | undefined;
  readonly scopeClaims?: readonly string[] | undefined;
  readonly subjectClaims?: readonly string[] | undefined;
  readonly isMachine?: CallerRule | undefined;
  readonly isUser?: CallerRule | undefined;
}

/** What a verifier returns for a token that it accepts. */
export interface VerifiedClaims {
  readonly format: 'jwt' | 'opaque';
  readonly issuer: string;
  readonly claims: Record<string, unknown>;
  readonly header?: Readonly<JwtHeader> | undefined;
}

/**
 * Builds the `AccessToken` from claims that have been verified.
 *
 * @throws ConfigurationError if a rule of the application throws or returns a promise.
 */
export function buildAccessToken(verified: VerifiedClaims, mapping: ClaimMapping): AccessToken {
  const { claims, format, issuer, header } = verified;
  const clientId = readClientId(claims, mapping.clientIdClaims);
  const actor = readActor(claims);
  // Frozen before a rule of the application sees them.
  deepFreeze(claims);
  const { isMachine, isUser } = decideCaller(verified, clientId, mapping);
  return Object.freeze({
    format,
    issuer,
    subject: firstText(claims, mapping.subjectClaims ?? ['sub']),
    clientId,
    isMachine,
    isUser,
    actor: Object.freeze(actor),
    scopes: Object.freeze(readScopes(claims, mapping.scopeClaims ?? SCOPE_CLAIMS)),
    audience: Object.freeze(readAudience(claims)),
    expiresAt: typeof claims.exp === 'number' ? claims.exp : undefined,
    issuedAt: typeof claims.iat === 'number' ? claims.iat : undefined,
    claims,
    header: header && deepFreeze(header),
  });
}

function decideCaller(
  { claims, format, issuer }: VerifiedClaims,
  clientId: string | undefined,
  mapping: ClaimMapping,
): Caller {
  const found = readCaller(claims, { clientId, isIntrospected: format === 'opaque' });
  const isMachine = applyRule('isMachine', mapping.isMachine, claims) ?? found.isMachine;
  const isUser = applyRule('isUser', mapping.isUser, claims) ?? found.isUser;
  if (isMachine && isUser) return { isMachine: false, isUser: false };
  return { isMachine: isMachine && !hasForeignActor(claims, clientId, issuer), isUser };
}

/** The result of a rule of the application. Tokens contain what servers write, so a rule must not fail for one. */
function applyRule(option: string, rule: CallerRule | undefined, claims: Record<string, unknown>): boolean | undefined {
  if (rule === undefined) return undefined;
  let result: unknown;
  try {
    result = rule(claims);
  } catch (cause) {
    throw invalidRule(option, 'an error', cause);
  }
  if (isPromise(result)) {
    // A rejection of it must not end the process.
    Promise.resolve(result).catch(() => undefined);
    throw invalidRule(option, 'a promise', undefined);
  }
  return result === true;
}

function invalidRule(option: string, got: string, cause: unknown): ConfigurationError {
  const expected = 'a function that returns true or false for every token';
  const fix = 'Check the type of each claim that it reads, and return a boolean.';
  return new ConfigurationError({ option, expected, got, fix }, { cause });
}

/** What a handler reads: the shared `AccessToken`, and what this request presented. */
export function makeAuth(accessToken: AccessToken, token: string, scheme: Scheme): Auth {
  return Object.freeze({
    format: accessToken.format,
    issuer: accessToken.issuer,
    subject: accessToken.subject,
    clientId: accessToken.clientId,
    isMachine: accessToken.isMachine,
    isUser: accessToken.isUser,
    actor: accessToken.actor,
    scopes: accessToken.scopes,
    audience: accessToken.audience,
    expiresAt: accessToken.expiresAt,
    issuedAt: accessToken.issuedAt,
    claims: accessToken.claims,
    header: accessToken.header,
    token,
    scheme,
  });
}

/** Whether a verifier of the application returned something of this shape. Its content is trusted, its types are not. */
export function isAccessToken(value: unknown): value is AccessToken {
  return isPlainObject(value) && isPlainObject(value.claims) && Array.isArray(value.scopes);
}
