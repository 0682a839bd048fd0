import type { Scheme } from '../challenge.js';
import { readAudience, readClientId, readIsMachine, readScopes } from './claims.js';
import { deepFreeze } from '../util/deep-freeze.js';
import type { JwtHeader } from './parse-jwt.js';

/** What a verifier says of a token. Deeply frozen; remembered and shared; holds no token. */
export interface AccessToken<Claims extends object = Record<string, unknown>> {
  readonly format: 'jwt' | 'opaque';
  readonly issuer: string;
  /** `sub`. With the client-credentials grant often the client's id, or absent. */
  readonly subject: string | undefined;
  /** Who is calling. */
  readonly clientId: string | undefined;
  /** Obtained with the client-credentials grant: no person stands behind the call. */
  readonly isMachine: boolean;
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

/** What this request presented: made per request, frozen. */
export interface Auth<Claims extends object = Record<string, unknown>> extends AccessToken<Claims> {
  /** For calls on behalf of the same caller. */
  readonly token: string;
  readonly scheme: Scheme;
}

/** Which claims say who is calling and what for. */
export interface ClaimMapping {
  readonly clientIdClaims: readonly string[];
  readonly scopeClaims: readonly string[];
}

/** Makes the `AccessToken` of claims that have been verified. */
export function buildAccessToken(
  verified: { format: 'jwt' | 'opaque'; issuer: string; claims: Record<string, unknown>; header?: JwtHeader },
  mapping: ClaimMapping,
): AccessToken {
  const { claims } = verified;
  const clientId = readClientId(claims, mapping.clientIdClaims);
  return deepFreeze({
    format: verified.format,
    issuer: verified.issuer,
    subject: typeof claims.sub === 'string' ? claims.sub : undefined,
    clientId,
    isMachine: readIsMachine(claims, clientId),
    scopes: readScopes(claims, mapping.scopeClaims),
    audience: readAudience(claims),
    expiresAt: typeof claims.exp === 'number' ? claims.exp : undefined,
    issuedAt: typeof claims.iat === 'number' ? claims.iat : undefined,
    claims,
    header: verified.header,
  });
}

/** What a handler reads: the shared `AccessToken` and what this request presented. */
export function makeAuth(accessToken: AccessToken, token: string, scheme: Scheme): Auth {
  return Object.freeze({
    format: accessToken.format,
    issuer: accessToken.issuer,
    subject: accessToken.subject,
    clientId: accessToken.clientId,
    isMachine: accessToken.isMachine,
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
