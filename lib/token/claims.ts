/** Reads single claims the way authorization servers really write them. What is of another type is absent. */

/** Where the calling client's id is looked for, first match wins: RFC 9068, OpenID Connect, Okta, Entra ID. */
export const CLIENT_ID_CLAIMS: readonly string[] = ['client_id', 'azp', 'cid', 'appid'];

/** Where scopes are looked for, all of them together: RFC 8693 §4.2, Okta and Entra ID. */
export const SCOPE_CLAIMS: readonly string[] = ['scope', 'scp'];

/** JWT payload or introspection response, in wire spelling. */
export type Claims = Readonly<Record<string, unknown>>;

/** An own member of the claims. `constructor` and the like are no claims unless a token holds them. */
export function claim(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** `aud` as an array (RFC 7519 §4.1.3): a string or an array of strings. */
export function readAudience(claims: Claims): string[] {
  const value = claim(claims, 'aud');
  return typeof value === 'string' ? [value] : strings(value);
}

/** The first of the named claims that is a non-empty string. */
export function readClientId(claims: Claims, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = claim(claims, name);
    if (typeof value === 'string' && value !== '') return value;
  }
  return undefined;
}

/** The union of the named claims, each a space-delimited string (RFC 6749 §3.3) or an array. */
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

/**
 * Whether the token was obtained with the client-credentials grant. There is no standard claim for it: RFC 9068 §2.2
 * makes `sub` the client's id then, and some servers have a way of their own to say so.
 */
export function readIsMachine(claims: Claims, clientId: string | undefined): boolean {
  const subject = claim(claims, 'sub');
  // RFC 7662 §2.2: `username` names the person who authorized the token.
  if (subject === undefined) return claim(claims, 'username') === undefined;
  if (subject === clientId) return true;
  if (claim(claims, 'gty') === 'client-credentials' || claim(claims, 'idtyp') === 'app') return true;
  if (clientId === undefined) return false;
  // Compared whole and not by prefix: a person may choose a user name that begins or ends like that.
  if (subject === `${clientId}@clients`) return true;
  return claim(claims, 'preferred_username') === `service-account-${clientId.toLowerCase()}`;
}

function strings(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item): item is string => typeof item === 'string');
}
