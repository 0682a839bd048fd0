/** The claims that may contain the scopes: RFC 8693 §4.2, Okta and Entra ID. */
export const SCOPE_CLAIMS: readonly string[] = ['scope', 'scp'];

/** The claims that may contain the client id: RFC 9068 and OpenID Connect; then Okta and Entra ID. */
const OTHER_CLIENT_ID = ['cid', 'appid'];
export const CLIENT_ID_CLAIMS: readonly string[] = ['client_id', 'azp', ...OTHER_CLIENT_ID];

/** JWT payload or introspection response, in wire spelling. */
export type Claims = Readonly<Record<string, unknown>>;

/**
 * An own member of the claims; `null` counts as absent. `constructor` and the like are not claims, unless the token has
 * them.
 */
export function claim(claims: Claims, name: string): unknown {
  return rawClaim(claims, name) ?? undefined;
}

/** The same, but `null` is a value. For JWTs that clients write, such as DPoP proofs. */
export function rawClaim(claims: Claims, name: string): unknown {
  const value = claims[name];
  // Most of the claims that are looked up are absent, and this is the quicker way to see it.
  return value === undefined || Object.hasOwn(claims, name) ? value : undefined;
}

/** `aud` as an array (RFC 7519 §4.1.3). It is a string or an array of strings; other values are ignored. */
export function readAudience(claims: Claims): string[] {
  const value = claim(claims, 'aud');
  return typeof value === 'string' ? [value] : strings(value);
}

/**
 * The id of the calling client. With a list of claims, the first that is a non-empty string. Without one, `client_id` and
 * `azp` must agree: Keycloak and others write both, and a token with two different clients does not say who calls.
 */
export function readClientId(claims: Claims, names: readonly string[] | undefined): string | undefined {
  if (names !== undefined) return firstText(claims, names);
  const [clientId, azp] = [present(claims, 'client_id'), present(claims, 'azp')];
  const found = clientId ?? azp;
  if (found === undefined) return firstText(claims, OTHER_CLIENT_ID);
  return typeof found === 'string' && (azp ?? found) === found ? found : undefined;
}

// An empty string identifies nothing.
function present(claims: Claims, name: string): unknown {
  const value = claim(claims, name);
  return value === '' ? undefined : value;
}

/** The first of the named claims that is a non-empty string. */
export function firstText(claims: Claims, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = claim(claims, name);
    if (isText(value)) return value;
  }
  return undefined;
}

/**
 * The union of the named claims, each a space-delimited string (RFC 6749 §3.3) or an array of strings; other values are
 * ignored.
 */
export function readScopes(claims: Claims, names: readonly string[]): string[] {
  const found = new Set<string>();
  for (const name of names) {
    const value = claim(claims, name);
    for (const scope of typeof value === 'string' ? value.split(' ') : strings(value)) {
      if (scope !== '') found.add(scope);
    }
  }
  return [...found];
}

/** A non-empty string: an empty one identifies nothing. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function strings(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item): item is string => typeof item === 'string');
}
