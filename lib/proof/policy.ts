import { InvalidTokenError } from '../errors.js';
import type { AccessToken } from '../token/access-token.js';
import { claim } from '../token/claims.js';

/** Members of `cnf` that bind a token to a key: RFC 9449 §6.1, RFC 8705 §3.1. */
const BINDINGS = ['jkt', 'x5t#S256'];

/**
 * A token that is bound to a key is worth nothing without the proof of that key, so it never passes as a plain bearer
 * token. A `cnf` with members that nobody here knows binds nothing here; one that is no object is refused.
 */
export function checkBinding(accessToken: AccessToken): void {
  const confirmation = claim(accessToken.claims, 'cnf');
  if (confirmation === undefined) return;
  if (typeof confirmation !== 'object' || confirmation === null || Array.isArray(confirmation)) {
    throw new InvalidTokenError('claim_malformed');
  }
  const bound = BINDINGS.some((member) => Object.hasOwn(confirmation, member));
  if (bound) throw new InvalidTokenError('binding_unproven');
}
