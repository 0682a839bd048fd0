import { claim, type Claims } from './claims.js';
import { rejectToken } from './reject-token.js';

/** Claims in which a server names the kind of a token: Cognito, Keycloak, ForgeRock, Curity, Duende and others. */
const KIND_CLAIMS = ['token_use', 'token_usage', 'token_type', 'tokenName', 'typ', 'purpose'];
const ID_KINDS: readonly unknown[] = ['id', 'id_token'];
const OTHER_KINDS: readonly unknown[] = ['refresh', 'refresh_token', 'offline', 'logout', 'logout_token'];
/** RFC 8693 §3. */
const KIND_URN = /^urn:ietf:params:oauth:token-type:/;

/** OpenID Connect Core 1.0 §3.1.3.6 and §3.3.2.11: only an ID token has the hash of something issued with it. */
const ID_TOKEN_CLAIMS = ['at_hash', 'c_hash', 's_hash'];
const CLIENT_CLAIMS = ['client_id', 'azp', 'cid', 'appid'];
const SCOPE_CLAIMS = ['scope', 'scp'];

export interface AccessTokenOnlyRules {
  readonly allowIdTokens: boolean;
  /** Further claims that may hold the client id. */
  readonly clientIdClaims: readonly string[] | undefined;
}

/**
 * Rejects a JWT or an introspection response whose content says that it is not an access token: an ID token, a refresh
 * token, a logout token or another security event (RFC 8417 §2.2), an authorization response (JARM §2.1).
 *
 * @throws InvalidTokenError
 */
export function checkIsAccessToken(claims: Claims, { allowIdTokens, clientIdClaims }: AccessTokenOnlyRules): void {
  for (const name of KIND_CLAIMS) {
    const value = claim(claims, name);
    if (value === undefined) continue;
    const kinds = [value].flat().map(normalizeKind);
    if (kinds.some((kind) => OTHER_KINDS.includes(kind))) reject('type_refused', name, value);
    if (!allowIdTokens && kinds.some((kind) => ID_KINDS.includes(kind))) reject('id_token', name, value);
  }
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
  if (nonce === undefined) return;
  // Every ID token has `sub` and `aud`, also where one of them is the client id.
  const clientClaims = [...CLIENT_CLAIMS, ...(clientIdClaims ?? [])].filter((name) => name !== 'sub' && name !== 'aud');
  const isForClient = [...clientClaims, ...SCOPE_CLAIMS].some((name) => claim(claims, name) !== undefined);
  if (!isForClient) reject('id_token', 'nonce', nonce);
}

function normalizeKind(kind: unknown): unknown {
  return typeof kind === 'string' ? kind.toLowerCase().replace(KIND_URN, '') : kind;
}

function reject(reason: 'id_token' | 'type_refused', checked: string, found: unknown): never {
  rejectToken(reason, checked, 'the content of an access token', found);
}
