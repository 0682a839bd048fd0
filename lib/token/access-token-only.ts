import { claim, type Claims, CLIENT_ID_CLAIMS, firstText, readScopes, SCOPE_CLAIMS } from './claims.js';
import { rejectToken } from './reject-token.js';

/**
 * The claims in which servers name the kind of a token: Cognito, Keycloak, OpenIddict, ForgeRock, Curity, Casdoor and
 * others. Some sign their refresh tokens with the same key and audience, and only such a claim differs.
 */
const KIND_CLAIMS = [
  ...['token_use', 'token_usage', 'token_type', 'tokenType', 'TokenType', 'tokenName', 'typ', 'type', 'purpose'],
];
/** In lower case and without separators. */
const ID_TOKEN_KINDS: readonly unknown[] = ['id', 'idtoken'];
const OTHER_KINDS: readonly unknown[] = ['refresh', 'refreshtoken', 'offline', 'logout', 'logouttoken'];
/** RFC 8693 §3. */
const KIND_URN = /^urn:ietf:params:oauth:token-type:/;

/** OpenID Connect Core 1.0 §3.1.3.6 and §3.3.2.11: only an ID token has the hash of something issued with it. */
const ID_TOKEN_CLAIMS = ['at_hash', 'c_hash', 's_hash'];
/** Every ID token has these claims, so they do not identify a client, even if `clientIdClaims` contains them. */
const ID_TOKEN_REQUIRED_CLAIMS = ['iss', 'sub', 'aud'];

export interface AccessTokenOnlyRules {
  readonly allowIdTokens: boolean;
  /** Further claims that may contain the client id. */
  readonly clientIdClaims: readonly string[] | undefined;
}

/**
 * Rejects a JWT or an introspection response whose content says that it is not an access token: an ID token, a refresh
 * token, a logout token or another security event (RFC 8417 §2.2), an authorization response (JARM §2.1).
 *
 * @throws InvalidTokenError
 */
export function checkIsAccessToken(claims: Claims, { allowIdTokens, clientIdClaims }: AccessTokenOnlyRules): void {
  for (const name of KIND_CLAIMS) checkKind(name, claim(claims, name), allowIdTokens);
  const events = claim(claims, 'events');
  if (events !== undefined) reject('type_refused', 'events', events);
  const code = claim(claims, 'code');
  if (code !== undefined && claim(claims, 'state') !== undefined) reject('type_refused', 'code', code);
  if (allowIdTokens) return;
  for (const name of ID_TOKEN_CLAIMS) {
    const value = claim(claims, name);
    if (value !== undefined) reject('id_token', name, value);
  }
  const nonce = claim(claims, 'nonce');
  if (nonce !== undefined && !hasClientOrScope(claims, clientIdClaims)) reject('id_token', 'nonce', nonce);
}

function checkKind(name: string, value: unknown, allowIdTokens: boolean): void {
  if (value === undefined) return;
  const kinds = [value].flat().map(normalizeKind);
  if (kinds.some((kind) => OTHER_KINDS.includes(kind))) reject('type_refused', name, value);
  if (!allowIdTokens && kinds.some((kind) => ID_TOKEN_KINDS.includes(kind))) reject('id_token', name, value);
}

function normalizeKind(kind: unknown): unknown {
  if (typeof kind !== 'string') return kind;
  // Servers write refresh_token, refresh-token or refreshToken.
  return kind.toLowerCase().replace(KIND_URN, '').replace(/[-_ ]/g, '');
}

// An ID token repeats the nonce of the authorization request. Some servers write it into access tokens too, but then
// together with a client or a scope, which an ID token does not need.
function hasClientOrScope(claims: Claims, clientIdClaims: readonly string[] = []): boolean {
  const names = [...CLIENT_ID_CLAIMS, ...clientIdClaims].filter((name) => !ID_TOKEN_REQUIRED_CLAIMS.includes(name));
  return firstText(claims, names) !== undefined || readScopes(claims, SCOPE_CLAIMS).length > 0;
}

function reject(reason: 'id_token' | 'type_refused', checked: string, found: unknown): never {
  rejectToken(reason, checked, 'the content of an access token', found);
}
