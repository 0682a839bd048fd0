import { claim, type Claims } from './claims.js';
import { rejectToken } from './reject-token.js';
import { isPlainObject } from '../util/is-plain-object.js';

/** The keys that a token is bound to; a token with neither is for whoever holds it. */
export interface Confirmation {
  /** RFC 9449 §6.1: the thumbprint (RFC 7638, SHA-256) of the key of DPoP proofs. */
  readonly jkt: string | undefined;
  /** RFC 8705 §3.1: the SHA-256 of the client certificate, in base64url. */
  readonly x5tS256: string | undefined;
}

const UNBOUND: Confirmation = { jkt: undefined, x5tS256: undefined };

/**
 * Reads `cnf` (RFC 7800 §3.1) of a JWT or an introspection response. Members that nobody here knows bind nothing here; a
 * `cnf` that is no object, or a binding that is no string, is refused. What claims of a user's own making inherit or
 * compute counts as well: a binding must not be overlooked.
 */
export function readConfirmation(claims: Claims): Confirmation {
  const confirmation = claims.cnf;
  if (confirmation === undefined || confirmation === null) return UNBOUND;
  if (!isPlainObject(confirmation)) rejectToken('claim_malformed', 'cnf', 'an object', confirmation);
  return { jkt: readMember(confirmation, 'jkt'), x5tS256: readMember(confirmation, 'x5t#S256') };
}

/** Refuses a token that is bound to no key: FAPI 2.0 takes no others. */
export function requireBinding({ jkt, x5tS256 }: Confirmation): void {
  if (jkt === undefined && x5tS256 === undefined) {
    rejectToken('binding_missing', 'cnf', 'jkt or x5t#S256', undefined);
  }
}

/**
 * Rejects a token that says that it is for DPoP but is not bound to a key (RFC 9449 §5, §6): nobody can prove possession of
 * it, and it must not be accepted as a bearer token.
 */
export function checkDpopBinding(claims: Claims): void {
  const types = ['token_type', 'typ'].flatMap((name) => claim(claims, name));
  const isDpop = types.some((type) => typeof type === 'string' && type.toLowerCase() === 'dpop');
  if (!isDpop || readConfirmation(claims).jkt !== undefined) return;
  rejectToken('binding_missing', 'cnf.jkt', 'the thumbprint of a key, because the type is DPoP', undefined);
}

function readMember(confirmation: Claims, name: string): string | undefined {
  const value = confirmation[name];
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  rejectToken('claim_malformed', `cnf.${name}`, 'a non-empty string', value);
}
